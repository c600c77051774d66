//! The files that the checks look at, in memory, so that a test can make a small tree by hand.

use crate::lexer;
use std::io;
use std::path::Path;
use std::process::Command;

/// One file: its path from the root of the workspace, with slashes, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without what comments and literals say; empty for what is not Rust.
    pub(crate) code: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> File {
        let code = if path.ends_with(".rs") { lexer::code_only(text) } else { String::new() };
        File { path: path.to_owned(), text: text.to_owned(), code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The number, from 1, of the line in which byte `offset` of the text stands.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// The tracked files, and those that would be tracked after `git add`, of the workspace this program was built from.
pub(crate) fn tracked() -> io::Result<Vec<File>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or(io::ErrorKind::NotFound)?;
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    if !listing.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
    }
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listing.stdout).split_terminator('\0') {
        match std::fs::read(root.join(path)) {
            // Pictures and the like are not text: no check reads them.
            Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| File::new(path, &text))),
            // Deleted, and the deletion is not yet recorded.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}
