//! Where the heap of a test is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Sql;

/// A place of its own for a heap: a file in a temporary folder or, if `HEAPLEDGER_TEST_URL` is set, a schema on
/// that server. Both are removed at the end.
pub struct Place {
    address: PathBuf,
    folder: TempDir,
    #[cfg(feature = "postgres")]
    schema: Option<(String, String)>,
}

impl Place {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        #[cfg(feature = "postgres")]
        if let Some(url) = server() {
            let url = url.into_string().expect("HEAPLEDGER_TEST_URL is text");
            let schema = super::server::new_schema(&url);
            let next = if url.contains('?') { '&' } else { '?' };
            return Self {
                address: format!("{url}{next}schema={schema}").into(),
                folder,
                schema: Some((url, schema)),
            };
        }
        #[cfg(not(feature = "postgres"))]
        assert!(server().is_none(), "HEAPLEDGER_TEST_URL needs --features postgres");
        Self {
            address: folder.path().join("heap.db"),
            folder,
            #[cfg(feature = "postgres")]
            schema: None,
        }
    }

    /// What `Options::open` takes.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// How many files there are in the folder.
    pub fn files(&self) -> usize {
        super::files_in(self.folder()).len()
    }

    /// A folder for other files; that of the heap, if it is a file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether there is a heap.
    pub fn has_heap(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.schema.is_some() {
            return super::number(
                &self.sql(),
                "SELECT count(*) FROM (SELECT to_regclass('memram') AS found) t WHERE found IS NOT NULL",
            ) == 1;
        }
        self.address.exists()
    }

    /// The environment of a child process that may be killed.
    pub fn for_child(&self) -> Option<(&'static str, &str)> {
        #[cfg(feature = "postgres")]
        return self.schema.as_ref().map(|(_, schema)| ("PGAPPNAME", schema.as_str()));
        #[cfg(not(feature = "postgres"))]
        None
    }

    /// Waits until the server has noticed that killed children are gone, and finished what they began.
    pub fn wait_for_the_dead(&self) {
        #[cfg(feature = "postgres")]
        if let Some((_, schema)) = &self.schema {
            let sql = self.sql();
            let living = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'");
            while super::number(&sql, &living) > 0 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }

    pub fn sql(&self) -> Sql {
        Sql::at(&self.address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        #[cfg(feature = "postgres")]
        if let Some((url, schema)) = &self.schema {
            super::server::drop_schema(url, schema);
        }
    }
}

/// The server that the tests run on, unless they run on files.
pub fn server() -> Option<OsString> {
    std::env::var_os("HEAPLEDGER_TEST_URL").filter(|url| !url.is_empty())
}
