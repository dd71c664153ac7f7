//! Reads a database file without a connection, but through SQLite's VFS.
//!
//! POSIX drops every lock that a process has on a file when the process closes any
//! descriptor of that file. SQLite knows which of its files have locks and closes a
//! descriptor only when they are gone, so it must be SQLite that opens and closes them.
//! See <https://sqlite.org/howtocorrupt.html>, 2.2.

use std::ffi::{CString, c_int};
use std::io;
use std::path::Path;
use std::ptr;

use libsqlite3_sys as ffi;

use super::system::default_system;

/// A file open for reading in SQLite's own VFS. Nothing is locked.
pub(in crate::store) struct DatabaseFile {
    /// SQLite's `sqlite3_file`, of the required size.
    file: Box<[u64]>,
    name: FileName,
}

/// A file name as SQLite passes it to a VFS, which reads before and after it.
struct FileName(ffi::sqlite3_filename);

impl FileName {
    fn new(path: &Path) -> io::Result<Self> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())?;
        let none = c"".as_ptr();
        // SAFETY: three strings that end with NUL, and no parameters. SQLite copies them.
        let name = unsafe { ffi::sqlite3_create_filename(name.as_ptr(), none, none, 0, ptr::null_mut()) };
        if name.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Self(name))
    }
}

impl Drop for FileName {
    fn drop(&mut self) {
        // SAFETY: it comes from `sqlite3_create_filename`, and nobody else frees it.
        unsafe { ffi::sqlite3_free_filename(self.0) };
    }
}

impl DatabaseFile {
    /// Opens an existing file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, ffi::SQLITE_OPEN_READONLY)
    }

    /// Opens an existing file in order to lock it.
    pub fn open_for_writing(path: &Path) -> io::Result<Self> {
        Self::open_as(path, ffi::SQLITE_OPEN_READWRITE)
    }

    fn open_as(path: &Path, mode: c_int) -> io::Result<Self> {
        let system = default_system();
        // SAFETY: null, or a VFS that is never freed.
        let Some((open, size)) = (unsafe { system.as_ref() }).and_then(|system| Some((system.xOpen?, system.szOsFile)))
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let words = usize::try_from(size).unwrap_or_default().div_ceil(size_of::<u64>());
        let mut opened = Self {
            file: vec![0; words].into_boxed_slice(),
            name: FileName::new(path)?,
        };
        let flags = mode | ffi::SQLITE_OPEN_MAIN_DB;
        // SAFETY: `file` has the size that this VFS requires, is aligned for pointers, and is
        // zeroed, so that it counts as closed if this fails. The name was created for this, and
        // lives as long as the file.
        let code = unsafe { open(system, opened.name.0, opened.as_ptr(), flags, ptr::null_mut()) };
        if code == ffi::SQLITE_OK {
            Ok(opened)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Reads the first bytes of the file. Missing bytes are zero.
    pub fn read_start(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let read = self.methods().and_then(|methods| methods.xRead);
        let count = c_int::try_from(bytes.len()).ok();
        let (Some(read), Some(count)) = (read, count) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // SAFETY: the file is open, and `bytes` has room for `count` bytes.
        match unsafe { read(self.as_ptr(), bytes.as_mut_ptr().cast(), count, 0) } {
            ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Locks the file against readers and writers; false if anybody has it open as a database, because
    /// every connection in WAL mode, including those of this process, holds a shared lock.
    pub fn lock_alone(&mut self) -> io::Result<bool> {
        let lock = self.methods().and_then(|methods| methods.xLock);
        let Some(lock) = lock else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        for level in [ffi::SQLITE_LOCK_SHARED, ffi::SQLITE_LOCK_EXCLUSIVE] {
            // SAFETY: the file is open, and the levels are taken in the order that SQLite requires.
            match unsafe { lock(self.as_ptr(), level) } {
                ffi::SQLITE_OK => {}
                ffi::SQLITE_BUSY => return Ok(false),
                _ => return Err(io::Error::last_os_error()),
            }
        }
        Ok(true)
    }

    /// The functions of the file; none if it was never opened.
    fn methods(&mut self) -> Option<&'static ffi::sqlite3_io_methods> {
        // SAFETY: the memory of the file is zero until SQLite's VFS sets this pointer, to functions
        // that are never freed.
        unsafe { (*self.as_ptr()).pMethods.as_ref() }
    }

    fn as_ptr(&mut self) -> *mut ffi::sqlite3_file {
        self.file.as_mut_ptr().cast()
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        if let Some(close) = self.methods().and_then(|methods| methods.xClose) {
            // SAFETY: a file with functions is open, and nobody uses it after this. SQLite
            // keeps the descriptor if the process has locks on the file.
            unsafe { close(self.as_ptr()) };
        }
    }
}
