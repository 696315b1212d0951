//! JSON for people: its characters as they are, but for white space between them. Reading it into
//! values would change numbers that have more digits than a float.

use serde_json::value::RawValue;

/// Indents it, if it is any.
pub fn pretty_text(text: &str) -> String {
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), pretty)
}

/// Indents it.
pub fn pretty(json: &RawValue) -> String {
    let mut text = String::with_capacity(json.get().len() * 2);
    let mut depth = 0;
    let (mut quoted, mut escaped) = (false, false);
    let mut chars = json.get().chars().peekable();
    while let Some(char) = chars.next() {
        if quoted {
            text.push(char);
            quoted = char != '"' || escaped;
            escaped = char == '\\' && !escaped;
            continue;
        }
        match char {
            '"' => {
                quoted = true;
                text.push(char);
            }
            '{' | '[' => {
                text.push(char);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if chars.peek().is_some_and(|next| !matches!(next, '}' | ']')) {
                    depth += 1;
                    line(&mut text, depth);
                } else {
                    text.extend(chars.next());
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(char);
            }
            ',' => {
                text.push(char);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ if char.is_ascii_whitespace() => {}
            _ => text.push(char),
        }
    }
    text
}

/// A new line. What is very deep is not indented any further.
fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(16)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let json: Box<RawValue> = serde_json::from_str(json).unwrap();
        assert_eq!(pretty(&json), expected);
    }

    #[test]
    fn characters_stay() {
        check("1.10", "1.10");
        check("{ }", "{}");
        check("[ [ ], {} ]", "[\n  [],\n  {}\n]");
        check(
            r#"{"n":12345678901234567890123,  "s":"a\\\"{,:}\\", "l":[1, 1e400]}"#,
            "{\n  \"n\": 12345678901234567890123,\n  \"s\": \"a\\\\\\\"{,:}\\\\\",\n  \"l\": [\n    1,\n    1e400\n  ]\n}",
        );
    }
}
