//! Memory that an operation owns, and how its type is put aside meanwhile.

use std::any::Any;

/// Memory that an operation can own: one piece, or several for gather and scatter (BF-01).
///
/// # Safety
/// The pieces that [`segments`](IoBuf::segments) names stay where they are, are initialised, and are touched by
/// nobody else while the value lives, even when the value itself is moved. They never lie inside the value.
pub unsafe trait IoBuf: Send + Sized + 'static {
    /// Where the bytes are.
    fn segments(&mut self) -> Segments;
}

/// Memory that an operation may write into: a receive fills the *length* of the buffer, not its spare capacity.
///
/// # Safety
/// As [`IoBuf`], and the pieces may be written to.
pub unsafe trait IoBufMut: IoBuf {}

/// One piece of memory.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "WSABUF")]
pub struct Segment {
    pub(crate) start: *mut u8,
    pub(crate) len: usize,
}

// SAFETY: a segment is an address and a length; who may use them is the contract of `IoBuf`.
unsafe impl Send for Segment {}

impl Segment {
    /// The piece of `len` bytes at `start`.
    pub const fn new(start: *mut u8, len: usize) -> Segment {
        Segment { start, len }
    }
}

/// The pieces of a buffer, in order.
#[derive(Debug)]
#[doc(alias = "LPWSABUF")]
pub enum Segments {
    /// One piece.
    One(Segment),
    /// Any number.
    Many(Box<[Segment]>),
}

impl Segments {
    pub(crate) fn as_slice(&self) -> &[Segment] {
        match self {
            Segments::One(segment) => std::slice::from_ref(segment),
            Segments::Many(segments) => segments,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.as_slice().iter().map(|segment| segment.len).sum()
    }
}

// SAFETY: a vector's bytes lie on the heap and stay there when the vector is moved.
unsafe impl IoBuf for Vec<u8> {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(self.as_mut_ptr(), self.len()))
    }
}
// SAFETY: they are the vector's own, to be written.
unsafe impl IoBufMut for Vec<u8> {}

// SAFETY: the bytes lie on the heap; the library boxes the value, so the inner box is not moved meanwhile.
unsafe impl IoBuf for Box<[u8]> {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(self.as_mut_ptr(), self.len()))
    }
}
// SAFETY: they are the box's own, to be written.
unsafe impl IoBufMut for Box<[u8]> {}

// SAFETY: shared bytes on the heap that nobody can write while the `Arc` lives; they are only ever sent.
unsafe impl IoBuf for std::sync::Arc<[u8]> {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(self.as_ptr().cast_mut(), self.len()))
    }
}

// SAFETY: static bytes never move and are never written; they are only ever sent.
unsafe impl IoBuf for &'static [u8] {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(self.as_ptr().cast_mut(), self.len()))
    }
}

// SAFETY: each piece lies on the heap and stays there when the outer vector is moved.
unsafe impl IoBuf for Vec<Vec<u8>> {
    fn segments(&mut self) -> Segments {
        Segments::Many(self.iter_mut().map(|piece| Segment::new(piece.as_mut_ptr(), piece.len())).collect())
    }
}
// SAFETY: they are the vectors' own, to be written.
unsafe impl IoBufMut for Vec<Vec<u8>> {}

/// A buffer whose type was put aside while an operation owns it. A plain `Vec<u8>` costs no allocation.
pub(crate) enum Owned {
    Bytes(Vec<u8>),
    Other(Box<dyn Any + Send>),
}

impl Owned {
    pub(super) fn from<B: IoBuf>(buffer: B) -> (Owned, Segments) {
        let mut buffer = Some(buffer);
        if let Some(bytes) = (&mut buffer as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() {
            let mut bytes = bytes.take().unwrap_or_default();
            let segments = bytes.segments();
            return (Owned::Bytes(bytes), segments);
        }
        // The pieces are named after the value has come to rest on the heap.
        let mut boxed: Box<Option<B>> = Box::new(buffer);
        let segments = match boxed.as_mut() {
            Some(buffer) => buffer.segments(),
            None => Segments::Many(Box::new([])),
        };
        (Owned::Other(boxed), segments)
    }

    pub(super) fn into<B: IoBuf>(self) -> std::result::Result<B, Owned> {
        match self {
            Owned::Bytes(bytes) => {
                let mut bytes = Some(bytes);
                match (&mut bytes as &mut dyn Any).downcast_mut::<Option<B>>().and_then(Option::take) {
                    Some(buffer) => Ok(buffer),
                    None => Err(Owned::Bytes(bytes.unwrap_or_default())),
                }
            }
            Owned::Other(any) => match any.downcast::<Option<B>>() {
                Ok(mut buffer) => buffer.take().ok_or(Owned::Bytes(Vec::new())),
                Err(any) => Err(Owned::Other(any)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<B: IoBuf>(buffer: B) -> B {
        let (owned, _) = Owned::from(buffer);
        owned.into().unwrap_or_else(|_| panic!("another type came back"))
    }

    #[test]
    fn a_buffer_comes_back_as_the_very_same() {
        let bytes = vec![7u8; 40];
        let address = bytes.as_ptr();
        let bytes = there_and_back(bytes);
        assert_eq!((bytes.as_ptr(), bytes.len()), (address, 40));

        let boxed: Box<[u8]> = vec![1u8; 9].into();
        let address = boxed.as_ptr();
        let boxed = there_and_back(boxed);
        assert_eq!(boxed.as_ptr(), address);
        assert_eq!(there_and_back(vec![vec![1u8], vec![2u8, 3]]), [vec![1u8], vec![2, 3]]);
        assert_eq!(there_and_back(b"static".as_slice()), b"static");
    }

    #[test]
    fn the_wrong_type_takes_nothing() {
        let (owned, _) = Owned::from(vec![1u8]);
        let Err(owned) = owned.into::<Box<[u8]>>() else { panic!("a vector came out as a box") };
        let Ok(bytes) = owned.into::<Vec<u8>>() else { panic!("the vector was lost") };
        assert_eq!(bytes, [1]);
    }

    #[test]
    fn segments_name_every_piece_in_order() {
        let (_owned, segments) = Owned::from(vec![vec![0u8; 4], vec![], vec![0u8; 8]]);
        assert_eq!(segments.as_slice().iter().map(|s| s.len).collect::<Vec<_>>(), [4, 0, 8]);
        assert_eq!(segments.total(), 12);
    }
}
