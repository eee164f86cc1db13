//! What the table asks of a request: its arguments, by index.

/// The arguments of one request, the command's name first.
///
/// The parsers of frames implement it over the bytes that were received, so that looking at an
/// argument copies nothing.
pub trait Args {
    /// How many arguments there are, the command's name included.
    fn len(&self) -> usize;

    /// Argument `i`; 0 is the command's name.
    ///
    /// # Panics
    ///
    /// If `i >= self.len()`.
    fn arg(&self, i: usize) -> &[u8];

    /// Whether there is no argument at all, not even a name.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: AsRef<[u8]>> Args for [T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    fn arg(&self, i: usize) -> &[u8] {
        self[i].as_ref()
    }
}

impl<T: AsRef<[u8]>> Args for Vec<T> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn arg(&self, i: usize) -> &[u8] {
        self[i].as_ref()
    }
}

impl<T: AsRef<[u8]>, const N: usize> Args for [T; N] {
    fn len(&self) -> usize {
        N
    }

    fn arg(&self, i: usize) -> &[u8] {
        self[i].as_ref()
    }
}

/// The arguments from `from` on: the command inside `COMMAND GETKEYS`.
pub(super) struct Tail<'a, A: ?Sized> {
    args: &'a A,
    from: usize,
}

impl<'a, A: Args + ?Sized> Tail<'a, A> {
    pub(super) fn new(args: &'a A, from: usize) -> Tail<'a, A> {
        Tail {
            args,
            from: from.min(args.len()),
        }
    }
}

impl<A: Args + ?Sized> Args for Tail<'_, A> {
    fn len(&self) -> usize {
        self.args.len() - self.from
    }

    fn arg(&self, i: usize) -> &[u8] {
        self.args.arg(self.from + i)
    }
}
