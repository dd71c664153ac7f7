//! The parts of a URI, split exactly where libpq splits it (`conninfo_uri_parse_options`).

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::RESERVED;

/// Parameters that say where something is, and so are shown. Others may contain anything, even a
/// password after a mistyped name.
const SHOWN: [&str; 6] = ["host", "hostaddr", "port", "dbname", "user", "service"];

/// How long libpq waits for each host to connect, and for the acknowledgement of what was sent; in seconds,
/// the last one in milliseconds. By itself it waits forever, or as long as the system does. Each comes with
/// the environment variable that sets it, if there is one.
const LIMITS: [(&str, &str, Option<&str>); 5] = [
    ("connect_timeout", "10", Some("PGCONNECT_TIMEOUT")),
    ("keepalives_idle", "20", None),
    ("keepalives_interval", "5", None),
    ("keepalives_count", "4", None),
    ("tcp_user_timeout", "40000", None),
];

/// All parts as they were written, still encoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    scheme: &'static str,
    user: Option<String>,
    /// The part after the user's `:`.
    pub(super) password: Option<String>,
    /// Hosts and ports: `a:1,[::1]:2`.
    hosts: String,
    /// The name of the database, if there is a `/` before it.
    database: Option<String>,
    pub(super) parameters: Vec<Parameter>,
}

/// `name=value`, as written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Parameter {
    name: String,
    pub(super) value: String,
}

impl Parameter {
    /// The name that libpq compares.
    pub(super) fn name(&self) -> Vec<u8> {
        percent_decode_str(&self.name).collect()
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        let name = self.name();
        names.iter().any(|other| other.as_bytes() == name)
    }
}

/// The scheme in lower case, the only form that libpq knows, and the rest.
pub(super) fn after_scheme(text: &str) -> Option<(&'static str, &str)> {
    ["postgres://", "postgresql://"].into_iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
    })
}

impl Parts {
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = after_scheme(text) else {
            return Err("does not start with postgres:// or postgresql://".into());
        };
        well_encoded(rest)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        unambiguous(authority, path)?;

        let (userinfo, hosts) = match authority.split_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
            None => (None, None),
            Some(Err(user)) => (Some(user), None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
        };
        // Without a path, the parameters follow the hosts.
        let (hosts, path, query) = match (hosts.split_once('?'), path.split_once('?')) {
            (Some((hosts, _)), _) => (hosts, "", rest.split_once('?').map_or("", |(_, query)| query)),
            (None, Some((path, query))) => (hosts, path, query),
            (None, None) => (hosts, path, ""),
        };
        numeric_ports(hosts)?;
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            hosts: hosts.to_owned(),
            database: path.strip_prefix('/').map(str::to_owned),
            parameters: parameters(query)?,
        })
    }

    /// Removes a parameter and returns its decoded value.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, String> {
        let all = self.parameters.extract_if(.., |parameter| parameter.is_one_of(&[name]));
        let taken: Vec<Parameter> = all.collect();
        match taken.as_slice() {
            [] => Ok(None),
            [one] => {
                let value = percent_decode_str(&one.value).decode_utf8();
                let value = value.map_err(|_| format!("has a parameter {name} that is not UTF-8"))?;
                Ok(Some(value.into_owned()))
            }
            _ => Err(format!("has several parameters {name}; give one")),
        }
    }

    /// The URI.
    pub(super) fn to_text(&self) -> String {
        self.text(true, |_| true)
    }

    /// The URI without passwords.
    pub(super) fn shown(&self) -> String {
        self.text(false, |parameter| parameter.is_one_of(&SHOWN))
    }

    fn text(&self, with_password: bool, shows: impl Fn(&Parameter) -> bool) -> String {
        let mut text = self.scheme.to_owned();
        if let Some(user) = &self.user {
            text.push_str(user);
            if let Some(password) = self.password.as_ref().filter(|_| with_password) {
                text.push(':');
                text.push_str(password);
            }
            text.push('@');
        }
        text.push_str(&self.hosts);
        if let Some(database) = &self.database {
            text.push('/');
            text.push_str(database);
        }
        let mut sign = '?';
        for parameter in self.parameters.iter().filter(|parameter| shows(parameter)) {
            text.push(sign);
            text.push_str(&parameter.name);
            text.push('=');
            text.push_str(&parameter.value);
            sign = '&';
        }
        text
    }

    /// The same with [`LIMITS`], unless it has others. With a service none are added, because they would
    /// override those of the service.
    pub(super) fn limited(&self, is_set: impl Fn(&str) -> bool) -> Self {
        let mut limited = self.clone();
        let has = |name: &str| self.parameters.iter().any(|parameter| parameter.is_one_of(&[name]));
        if has("service") || is_set("PGSERVICE") {
            return limited;
        }
        for (name, value, variable) in LIMITS {
            if !has(name) && !variable.is_some_and(&is_set) {
                limited.parameters.push(Parameter {
                    name: name.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
        limited
    }

    /// The same with one host.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let mut moved = self.clone();
        moved.hosts = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{}:{port}", utf8_percent_encode(host, RESERVED)),
        };
        let others = &mut moved.parameters;
        others.retain(|parameter| !parameter.is_one_of(&["host", "hostaddr", "port"]));
        // An empty one, because otherwise PGHOSTADDR or a service would give the address of the first host.
        others.push(Parameter {
            name: "hostaddr".to_owned(),
            value: String::new(),
        });
        moved
    }
}

/// libpq would quote a badly encoded part, which may be the password.
fn well_encoded(text: &str) -> Result<(), String> {
    let is_code = |code: &str| {
        code.as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_code) {
        return Err("has a % without two hexadecimal digits; write a per cent sign as %25".into());
    }
    if text.contains('\0') || text.contains("%00") {
        return Err("has a NUL character, which PostgreSQL cannot take".into());
    }
    Ok(())
}

/// Refuses what libpq does not split where people mean it to, because a part of a password would
/// become the name of a host or database, which messages quote.
fn unambiguous(authority: &str, path: &str) -> Result<(), String> {
    let before = authority.rsplit_once('@').map_or("", |(before, _)| before);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_cut = path.contains('@') || (before.is_empty() && query.contains('@'));
    if before.contains(['@', '?']) || (authority.contains(':') && is_cut) {
        return Err("has an @ where it is not clear what belongs to the password; \
                    write @ as %40, / as %2F and ? as %3F, except between the parts of the address"
            .into());
    }
    Ok(())
}

/// In `user:password/database`, where the host is missing, the password is in the place of the
/// port, which libpq would quote.
fn numeric_ports(hosts: &str) -> Result<(), String> {
    let port = |host: &str| {
        let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
        after.split_once(':').map_or(String::new(), |(_, port)| port.to_owned())
    };
    let is_number = |port: String| port.bytes().all(|sign| sign.is_ascii_digit());
    if hosts.split(',').map(port).all(is_number) {
        return Ok(());
    }
    Err("has a port that is not a number; it is postgres://user@host:port/database".into())
}

fn parameters(query: &str) -> Result<Vec<Parameter>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !value.contains('=') => Ok(Parameter {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("has a parameter that is not name=value; write = in a value as %3D".into()),
        })
        .collect()
}
