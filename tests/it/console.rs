//! The console in a real browser: `tests/console`.

use std::path::Path;
use std::process::Stdio;

use e2e::fleet::{ADMIN_TOKEN, Fleet, Folder};
use tokio::process::Command;

use crate::BINARY;

crate::on_both_backends!(a_browser_finds_its_way);

async fn a_browser_finds_its_way(fleet: Fleet) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = tests.join("../target/console");
    // Without a browser this test fails: what is not tried out is not there.
    let mut install = Command::new(tests.join("console/install.sh"));
    assert!(install.arg(&installed).status().await.unwrap().success(), "install.sh says why");
    let folder = Folder::new();
    let pair = folder.path().join("pair.pem");
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let pem = [made.cert.pem(), made.signing_key.serialize_pem()].concat();
    std::fs::write(&pair, pem.replace('\r', "")).unwrap();
    let mut node = Command::new("node");
    node.arg("flow.mjs").args([&fleet.client.url, ADMIN_TOKEN]).arg(&pair).current_dir(&installed);
    let ended = node.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ended.status.success(), "{}{}", text(&ended.stdout), text(&ended.stderr));
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing_and_the_api_is_where_it_was() {
    let fleet = Fleet::embedded(BINARY).await;
    let url = &fleet.client.url;
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    let sign_in = |name: &'static str, value: String| {
        let form = format!("token={ADMIN_TOKEN}");
        let request = http.post(format!("{url}/sign-in")).header(name, value);
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send()
    };
    for (name, value) in [("origin", "https://elsewhere"), ("sec-fetch-site", "cross-site")] {
        let answer = sign_in(name, value.to_owned()).await.unwrap();
        assert_eq!(answer.status(), 403, "{name}");
        assert!(answer.headers().get("set-cookie").is_none());
    }
    let answer = sign_in("origin", url.clone()).await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Lax") && !cookie.contains("Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let get = |path: &str| http.get(format!("{url}{path}")).header("accept", "text/html").send();
    assert_eq!(
        get("/nowhere").await.unwrap().headers()["content-type"],
        "text/html; charset=utf-8"
    );
    for path in ["/v1/nowhere", "/v1/tenants/acme/endpoints"] {
        let answer = get(path).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    // The API takes no cookie: only pages do, and those refuse other sites.
    let answer = http.get(format!("{url}/v1/jobs")).header("cookie", &cookie).send();
    assert_eq!(answer.await.unwrap().status(), 401);
    let page = http.get(format!("{url}/jobs")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    let damaged = format!("{cookie}x");
    let page = http.get(format!("{url}/jobs")).header("cookie", damaged).send().await.unwrap();
    assert_eq!(page.headers()["location"], "/sign-in?next=%2Fjobs");
}
