//! The built command, on a server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder in which `heapledger` runs, without settings of whoever runs the tests.
pub struct Cli {
    folder: TempDir,
}

impl Cli {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn file(&self, name: &str, content: &str, mode: u32) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The exit status, what was printed, and the errors.
    pub fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = Command::cargo_bin("heapledger").unwrap();
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("PG") || ["DATABASE_URL", "HEAPLEDGER_DB", "HEAPLEDGER_ACTOR"].contains(&&*name) {
                command.env_remove(name);
            }
        }
        let output = command
            .current_dir(self.folder.path())
            .env("HOME", "/nonexistent")
            .args(args)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let (status, out, errors) = self.run(args, variables);
        assert_eq!(status, 0, "{args:?}: {errors}");
        out
    }

    /// Runs a command that must fail with one line of error, and returns the line.
    #[track_caller]
    pub fn fails(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let (status, out, errors) = self.run(args, variables);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
        assert!(!errors.contains("\\n"), "{args:?}: {errors}");
        errors
    }
}
