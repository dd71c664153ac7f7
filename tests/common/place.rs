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
    schema: Option<Schema>,
}

#[cfg(feature = "postgres")]
struct Schema {
    url: String,
    name: String,
    /// Whether another test may use it, once it is emptied.
    is_shared: bool,
}

impl Place {
    /// A new one, in which nobody has created a heap.
    pub fn new() -> Self {
        Self::of(false)
    }

    /// One in which heaps may have been before, which is faster on a server.
    pub fn emptied() -> Self {
        Self::of(true)
    }

    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "a file is always new"))]
    fn of(is_shared: bool) -> Self {
        let folder = TempDir::new().unwrap();
        #[cfg(feature = "postgres")]
        if let Some(url) = server() {
            let url = url.into_string().expect("HEAPLEDGER_TEST_URL is text");
            let name = if is_shared {
                super::server::emptied_or_new_schema(&url)
            } else {
                super::server::new_schema(&url)
            };
            return Self::in_schema(Schema { url, name, is_shared }, folder);
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

    /// A new one on this server, whatever the tests run on.
    #[cfg(feature = "postgres")]
    pub fn on(url: &str) -> Self {
        let schema = Schema {
            url: url.to_owned(),
            name: super::server::new_schema(url),
            is_shared: false,
        };
        Self::in_schema(schema, TempDir::new().unwrap())
    }

    #[cfg(feature = "postgres")]
    fn in_schema(schema: Schema, folder: TempDir) -> Self {
        let Schema { url, name, .. } = &schema;
        let next = if url.contains('?') { '&' } else { '?' };
        Self {
            // The name of the application tells whether somebody is still connected.
            address: format!("{url}{next}application_name={name}&schema={name}").into(),
            folder,
            schema: Some(schema),
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

    /// Waits until the server has noticed that killed children are gone, and finished what they began.
    pub fn wait_for_the_dead(&self) {
        #[cfg(feature = "postgres")]
        if let Some(Schema { name, .. }) = &self.schema {
            let sql = self.sql();
            let living = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND pid <> pg_backend_pid()"
            );
            while super::number(&sql, &living) > 0 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }

    /// Tells the place that its first heap is there.
    pub fn has_opened(&self) {
        #[cfg(feature = "postgres")]
        if let Some(Schema { url, name, .. }) = &self.schema {
            super::server::learn(url, name);
        }
    }

    pub fn sql(&self) -> Sql {
        Sql::at(&self.address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        #[cfg(feature = "postgres")]
        if let Some(Schema { url, name, is_shared }) = &self.schema {
            if *is_shared {
                super::server::give_back(url, name);
            } else {
                super::server::drop_schema(url, name);
            }
        }
    }
}

/// The server that the tests run on, unless they run on files.
pub fn server() -> Option<OsString> {
    std::env::var_os("HEAPLEDGER_TEST_URL").filter(|url| !url.is_empty())
}
