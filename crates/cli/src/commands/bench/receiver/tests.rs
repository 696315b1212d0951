use super::*;

#[test]
fn requests_are_told_apart() {
    let first =
        "POST /hook/1 HTTP/1.1\r\nWebhook-Id: e1\r\ncontent-length: 14\r\n\r\n{\"due_us\":700}";
    let two = format!("{first}GET");
    let (request, length) = whole(two.as_bytes()).unwrap();
    let Request { path, id, due_us } = request;
    assert_eq!((path, id, due_us, length), ("/hook/1", Some("e1"), Some(700), first.len()));
    assert!(whole(&first.as_bytes()[..first.len() - 1]).is_none());
}

#[test]
fn what_comes_again_in_a_later_phase_is_a_duplicate() {
    let (epoch, seen) = (Instant::now(), Mutex::default());
    let take = |path, id| {
        note(&Request { path, id: Some(id), due_us: None }, epoch, &seen);
    };
    let told = || {
        let arrived = std::mem::take(&mut lock(&seen).arrived);
        (arrived.deliveries, arrived.duplicates)
    };
    take("/hook", "e1");
    take("/hook", "e2");
    take("/hook", "e1");
    assert_eq!(told(), (2, 1));
    take("/hook", "e2");
    take("/hook", "e3");
    assert_eq!(told(), (1, 1));
    take("/hook/1", "e3");
    take("/hook/2", "e3");
    take("/hook/1", "e3");
    assert_eq!(told(), (2, 1), "each endpoint gets the event");
}

#[test]
fn an_endpoint_is_down_at_times() {
    let (epoch, seen) = (Instant::now(), Mutex::default());
    let take = || {
        let request = Request { path: FAILING, id: Some("e1"), due_us: None };
        note(&request, epoch, &seen)
    };
    lock(&seen).down = true;
    assert_eq!(take(), REFUSAL);
    lock(&seen).down = false;
    assert_eq!(take(), ANSWER);
    let arrived = std::mem::take(&mut lock(&seen).arrived);
    assert_eq!((arrived.refused, arrived.deliveries, arrived.duplicates), (1, 1, 0));
}
