//! What each key of a client may hold.
//!
//! ```text
//!   number of a value:  1 … 5   6   7   8
//!                           ▲   └───┬───┘
//!                         acked   sent later, outcome not known (yet)
//! ```
//!
//! A client's requests are executed in order, so a GET may see the value that was acknowledged last
//! or one that was sent after it; never an older one (a write was lost) and never one that was sent
//! after the GET, or another key's (the reply is not this request's). Values of earlier runs are as
//! good as none.

/// What the values of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// No other run has the same.
    pub run: u64,
    pub bytes: usize,
    /// A value may be gone at any time, though never be an older one.
    pub may_forget: bool,
}

/// One key and the numbers of its values.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub name: String,
    /// Of the last value whose SET was answered by OK; 0 before.
    pub acked: u64,
    /// Of the last value that was sent; 0 before.
    pub given: u64,
}

/// What a GET's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// One that is possible.
    Right,
    /// One that was this key's, but must be gone: a write that was acknowledged is lost.
    Lost,
    /// One that this key has not been given at that time, or none of this program's.
    Wrong,
}

impl Key {
    pub(crate) fn new(name: &str) -> Key {
        Key {
            name: name.to_owned(),
            acked: 0,
            given: 0,
        }
    }

    /// Appends the value of that number: `key=run:12;xxxx`.
    pub(crate) fn write_value(&self, number: u64, form: Form, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(itoa::Buffer::new().format(form.run).as_bytes());
        out.push(b':');
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.push(b';');
        let end = out.len().max(begin + form.bytes);
        out.resize(end, b'x');
    }

    /// Judges what a GET brought that was sent when `given` was the last number.
    pub(crate) fn judge(&self, value: Option<&[u8]>, given: u64, form: Form) -> Seen {
        let gone = match self.acked {
            0 => Seen::Right,
            _ => Seen::Lost,
        };
        let Some(value) = value else {
            return match form.may_forget {
                true => Seen::Right,
                false => gone,
            };
        };
        let Some((run, number)) = self.numbers_of(value) else {
            return Seen::Wrong;
        };
        if run != form.run {
            return gone;
        }
        let mut whole = Vec::with_capacity(value.len());
        self.write_value(number, form, &mut whole);
        match number {
            _ if value != whole => Seen::Wrong,
            0 => Seen::Wrong,
            _ if number > given => Seen::Wrong,
            _ if number < self.acked => Seen::Lost,
            _ => Seen::Right,
        }
    }

    /// The run and the number of a value of this key.
    fn numbers_of(&self, value: &[u8]) -> Option<(u64, u64)> {
        let rest = value
            .strip_prefix(self.name.as_bytes())?
            .strip_prefix(b"=")?;
        let digits = &rest[..rest.iter().position(|&byte| byte == b';')?];
        let (run, number) = std::str::from_utf8(digits).ok()?.split_once(':')?;
        Some((run.parse().ok()?, number.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        run: 9,
        bytes: 20,
        may_forget: false,
    };

    fn key(acked: u64, given: u64) -> Key {
        Key {
            acked,
            given,
            ..Key::new("key:1")
        }
    }

    fn value(key: &Key, number: u64) -> Vec<u8> {
        let mut value = Vec::new();
        key.write_value(number, FORM, &mut value);
        value
    }

    #[test]
    fn a_value_is_as_long_as_asked_and_never_cut() {
        let key = key(0, 0);
        assert_eq!(value(&key, 12), b"key:1=9:12;xxxxxxxxx");
        let mut short = Vec::new();
        key.write_value(12, Form { bytes: 3, ..FORM }, &mut short);
        assert_eq!(short, b"key:1=9:12;");
    }

    #[test]
    fn the_last_acknowledged_value_and_later_ones_are_right() {
        let key = key(5, 8);
        for number in 5..=8 {
            let seen = key.judge(Some(&value(&key, number)), 8, FORM);
            assert_eq!(seen, Seen::Right, "{number}");
        }
    }

    #[test]
    fn an_older_value_or_none_is_a_lost_write() {
        let key = key(5, 8);
        assert_eq!(key.judge(Some(&value(&key, 4)), 8, FORM), Seen::Lost);
        assert_eq!(key.judge(None, 8, FORM), Seen::Lost);
    }

    #[test]
    fn a_cache_may_forget_a_value_and_not_find_an_older_one() {
        let (key, form) = (
            key(5, 8),
            Form {
                may_forget: true,
                ..FORM
            },
        );
        assert_eq!(key.judge(None, 8, form), Seen::Right);
        assert_eq!(key.judge(Some(&value(&key, 4)), 8, form), Seen::Lost);
    }

    #[test]
    fn a_value_of_an_earlier_run_is_as_good_as_none() {
        let earlier = Some(&b"key:1=3:700;xx"[..]);
        assert_eq!(key(5, 8).judge(earlier, 8, FORM), Seen::Lost);
        for value in [earlier, None] {
            assert_eq!(key(0, 8).judge(value, 8, FORM), Seen::Right);
        }
    }

    #[test]
    fn a_value_from_the_future_or_of_another_key_or_damaged_is_wrong() {
        let key = key(5, 8);
        assert_eq!(key.judge(Some(&value(&key, 7)), 6, FORM), Seen::Wrong);
        let other = value(&Key::new("key:2"), 6);
        let mut damaged = value(&key, 6);
        damaged.pop();
        for wrong in [
            &b""[..],
            b"key:1=",
            b"key:1=9:0;xxxxxxxxxx",
            &other,
            &damaged,
        ] {
            assert_eq!(key.judge(Some(wrong), 8, FORM), Seen::Wrong);
        }
    }
}
