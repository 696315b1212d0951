use super::*;

fn policy() -> EndpointPolicy {
    EndpointPolicy { allow_http: true, ..EndpointPolicy::default() }
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_000)
}

fn create(json: &str) -> Result<Endpoint, String> {
    let patch: EndpointPatch = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let made = |_: &Signature| Secret::new("made");
    let tenant = "acme".parse().unwrap();
    patch.create(tenant, now(), &policy(), made).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(json: &str, why: &str) {
    let error = create(json).unwrap_err();
    assert!(error.contains(why), "{json}: {error}");
}

#[test]
fn a_url_is_enough() {
    let endpoint = create(r#"{"url":"https://example.com/hook"}"#).unwrap();
    assert_eq!(endpoint.profile, Profile::Standard);
    assert_eq!(*endpoint.settings, Profile::Standard.settings());
    assert_eq!(endpoint.secret, Some(Secret::new("made")));
    assert_eq!(endpoint.revision, 1);
    assert!(endpoint.active);
}

#[test]
fn every_setting_can_be_overridden() {
    let endpoint = create(
        r#"{"url":"http://example.com/","profile":"entri","timeout":"3s","method":"PUT",
            "retry":{"schedule":["5s"]},"rate_limit":"50/s","body":"flat","event_header":null,
            "signature":{"type":"sha256","header":"X-Sig"},"headers":{"X-A":"b"},
            "events":["content.*"],"project":"site","max_in_flight":3,"active":false}"#,
    )
    .unwrap();
    assert_eq!(endpoint.settings.timeout, Duration::from_secs(3));
    assert_eq!(endpoint.settings.method, Method::Put);
    assert_eq!(endpoint.settings.body, BodyShape::Flat);
    assert_eq!(endpoint.settings.event_header, None);
    assert_eq!(endpoint.settings.retry, RetrySchedule::preset(&[5]));
    assert!(!endpoint.active);
}

#[test]
fn the_user_of_auto_blogger_chooses_the_secret() {
    let endpoint = create(r#"{"url":"https://a.example/","profile":"auto-blogger"}"#).unwrap();
    assert_eq!(endpoint.secret, None);
}

#[test]
fn bad_input_is_refused() {
    refused("{}", "url is missing");
    refused(r#"{"url":"https://a.example","profile":"nope"}"#, "unknown variant `nope`");
    refused(r#"{"url":"https://a.example","tiemout":"3s"}"#, "unknown field `tiemout`");
    refused(r#"{"url":"https://a.example","timeout":"3"}"#, "duration \"3\" is invalid");
    refused(r#"{"url":"https://a.example","timeout":"3h"}"#, "timeout is invalid");
    refused(r#"{"url":"https://a.example","secret":""}"#, "secret is invalid");
    refused(r#"{"url":"https://a.example","headers":{"Host":"b"}}"#, "no setting may name");
    refused(r#"{"url":"https://a.example","headers":{"X-A":"b\r\nc"}}"#, "visible ASCII");
    for name in ["Transfer-Encoding", "webhook-signature", "x-webhook-signature", "Authorization"] {
        let fields = format!(r#"{{"url":"https://a.example","headers":{{"{name}":"b"}}}}"#);
        refused(&fields, "headers");
    }
    refused(r#"{"url":"https://a.example","event_header":"webhook-id"}"#, "no setting may name");
    refused(
        r#"{"url":"https://a.example","profile":"entri","headers":{"x-webhook-event":"b"}}"#,
        "set twice",
    );
    refused(r#"{"url":"http://a.example","profile":"auto-blogger"}"#, "must be https");
    refused(r#"{"url":"https://a.example","max_in_flight":0}"#, "max_in_flight");
}

#[test]
fn http_is_the_operators_choice() {
    let patch: EndpointPatch = serde_json::from_str(r#"{"url":"http://a.example"}"#).unwrap();
    let policy = EndpointPolicy::default();
    let result = patch.create("acme".parse().unwrap(), now(), &policy, |_| Secret::new("s"));
    assert_eq!(result.unwrap_err(), InvalidEndpoint::HttpNotAllowed);
}

#[test]
fn a_change_keeps_the_rest() {
    let endpoint = create(r#"{"url":"https://a.example","name":"one","timeout":"3s"}"#).unwrap();
    let patch: EndpointPatch =
        serde_json::from_str(r#"{"name":null,"auth":{"type":"header","token":"t"}}"#).unwrap();
    let changed = patch.apply(endpoint, now(), &policy()).unwrap();
    assert_eq!(changed.name, None);
    assert_eq!(changed.settings.timeout, Duration::from_secs(3));
    assert_eq!(changed.revision, 2);
    let name = "authorization".parse().unwrap();
    assert_eq!(changed.auth, Auth::Header { name, token: Secret::new("t") });
}

#[test]
fn a_client_certificate_comes_and_goes() {
    let fields =
        r#"{"url":"https://a.example","client_certificate":{"certificate":"c","key":"k"}}"#;
    let endpoint = create(fields).unwrap();
    assert_eq!(endpoint.client_certificate, Some(Secret::new("c\nk")));
    let change = |json: &str| {
        let patch: EndpointPatch = serde_json::from_str(json).unwrap();
        patch.apply(endpoint.clone(), now(), &policy()).map_err(|error| error.to_string())
    };
    assert!(change(r#"{"name":"x"}"#).unwrap().client_certificate.is_some());
    assert_eq!(change(r#"{"client_certificate":null}"#).unwrap().client_certificate, None);
    assert!(change(r#"{"url":"http://a.example"}"#).unwrap_err().contains("https alone"));
    let long = "x".repeat(limits::CERTIFICATE_BYTES_MAX + 1);
    for (certificate, key) in [("", "k"), ("c", ""), (long.as_str(), "k"), ("c", long.as_str())] {
        let pem = serde_json::json!({ "certificate": certificate, "key": key });
        let patch = serde_json::json!({ "client_certificate": pem }).to_string();
        assert!(change(&patch).unwrap_err().contains("1 to 16384 bytes"));
    }
    refused(r#"{"url":"https://a.example","client_certificate":{"certificate":"c"}}"#, "key");
}

#[test]
fn no_secret_in_debug() {
    let patch: EndpointPatch = serde_json::from_str(
        r#"{"url":"https://a.example","secret":"hush","auth":{"type":"query","token":"hush"},
            "client_certificate":{"certificate":"c","key":"hush"}}"#,
    )
    .unwrap();
    assert!(!format!("{patch:?}").contains("hush"));
    let endpoint = patch.create("acme".parse().unwrap(), now(), &policy(), |_| Secret::new("hush"));
    assert!(!format!("{endpoint:?}").contains("hush"));
}
