use std::sync::Mutex;

use super::*;
use crate::{EndpointId, Generation, Timestamp};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Default)]
struct Nowhere(Mutex<Vec<Span>>);

impl Spans for Nowhere {
    fn keep(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

fn tracer(ratio: f64) -> Tracer {
    let options = TraceOptions { ratio: ratio.try_into().unwrap(), tell_endpoints: true };
    Tracer::new(Nowhere::default(), options)
}

fn event(trace: Option<&str>) -> Event {
    let now = Timestamp::from_unix_ms(0);
    Event {
        id: EventId::generate(now),
        tenant: "acme".parse().unwrap(),
        event_type: "a.b".parse().unwrap(),
        project: None,
        timestamp: now,
        accepted_at: now,
        idempotency_key: None,
        trace: trace.map(|text| text.parse().unwrap()),
        data: serde_json::value::RawValue::NULL.to_owned().into(),
    }
}

fn delivery(event: Event, attempt: u32) -> Delivery {
    let first = Delivery::first(Arc::new(event), "ep_1".parse::<EndpointId>().unwrap());
    Delivery { attempt: AttemptNumber::new(attempt), ..first }
}

#[track_caller]
fn check(text: &str, valid: bool) {
    assert_eq!(text.parse::<TraceParent>().is_ok(), valid, "{text:?}");
}

#[test]
fn trace_parents() {
    check(PARENT, true);
    check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
    check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
    check("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
    check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
    check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false);
    check("", false);
    let parsed: TraceParent = PARENT.parse().unwrap();
    assert_eq!(TraceParent::sampled(parsed.trace(), parsed.span()), parsed);
}

#[test]
fn a_publishers_trace_is_gone_on_with_if_it_is_recorded() {
    let flags = |flags: &str| event(Some(&PARENT.replace("-01", &format!("-{flags}"))));
    let place = |event: Event| tracer(0.0).place(&event);
    let kept = place(flags("01")).unwrap();
    assert_eq!(kept.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(kept.caller.unwrap().to_string(), "00f067aa0ba902b7");
    assert!(place(flags("03")).is_some(), "further flags say nothing of it");
    assert_eq!(place(flags("00")), None);
    assert_eq!(place(flags("02")), None);
    assert_eq!(place(event(None)), None, "the ratio is 0");
}

#[test]
fn every_process_knows_the_same_ids() {
    let event = event(None);
    let places = [(); 2].map(|()| tracer(1.0).place(&event).unwrap());
    assert_eq!(places[0], places[1]);
    let [first, second] = [1, 2].map(|n| delivery(event.clone(), n));
    let place = places[0];
    assert_eq!(place.attempt_before(&first), None);
    assert_eq!(place.attempt_before(&second), Some(place.attempt(&first)));
    let replayed = Delivery { generation: Generation::FIRST.next(), ..first.clone() };
    assert_ne!(place.attempt(&first), place.attempt(&replayed));
}

#[test]
fn a_ratio_takes_about_as_many_and_a_larger_one_the_same_and_more() {
    let takes = |ratio: f64, trace| TraceRatio::try_from(ratio).unwrap().takes(trace);
    let traces: Vec<TraceId> = (0..2_000).map(|n| TraceId::of(&n.to_string())).collect();
    let tenth: Vec<&TraceId> = traces.iter().filter(|trace| takes(0.1, **trace)).collect();
    assert!((100..300).contains(&tenth.len()), "{}", tenth.len());
    assert!(tenth.iter().all(|trace| takes(0.5, **trace)));
    assert!(traces.iter().all(|trace| takes(1.0, *trace) && !takes(0.0, *trace)));
    for wrong in ["1.1", "-0.1", "NaN", "much"] {
        let error = wrong.parse::<TraceRatio>().unwrap_err().to_string();
        assert!(error.contains("expected 0 to 1"), "{error}");
    }
}

#[test]
fn an_endpoint_is_told_of_its_attempt_if_it_is_recorded() {
    let due = delivery(event(Some(PARENT)), 1);
    let told = tracer(1.0).told(&due).unwrap().trace.unwrap();
    let place = tracer(1.0).place(&due.event).unwrap();
    assert_eq!((told.trace(), told.span()), (place.trace, place.attempt(&due)));
    assert!(Tracer::default().told(&due).is_none());
    assert!(tracer(0.0).told(&delivery(event(None), 1)).is_none());
}
