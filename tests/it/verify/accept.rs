use hookfleet_signing::{Key, Received, TOLERANCE_S, Tolerance, verify_standard};

fn accept(
    secret: &str,
    received: &Received<'_>,
    now_unix_s: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    let key = Key::standard(secret)?;
    let tolerance = Tolerance { now_unix_s, seconds: TOLERANCE_S };
    verify_standard(&[key], received, tolerance)?;
    Ok(())
}
