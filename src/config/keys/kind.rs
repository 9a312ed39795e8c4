//! What a configuration value may be: the part of a schema language that the tables need.

/// One key of a section. Name, default and purpose are one text: every pointer in a table is a
/// relocation, and every relocated page is private memory of each of our processes.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    #[doc(hidden)]
    pub text: &'static str,
    pub kind: Kind,
    pub mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Optional,
    Required,
    /// The Node program does not know it and refuses a file that has it.
    Ours,
}

impl Key {
    pub fn name(&self) -> &'static str {
        self.part(0)
    }

    /// In words, for people; empty when there is none. What the program fills in by itself is in
    /// `defaults`.
    pub fn default(&self) -> &'static str {
        self.part(1)
    }

    /// Empty for a section whose keys explain it.
    pub fn doc(&self) -> &'static str {
        self.part(2)
    }

    fn part(&self, n: usize) -> &'static str {
        self.text.split('\0').nth(n).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Any,
    Bool,
    /// Lengths in characters.
    Text {
        min: usize,
        max: usize,
    },
    /// A string of a known form.
    Form(Form),
    Number(Range),
    Int(Range),
    /// A TCP port. The original has no upper bound here; such a port cannot be listened on.
    Port,
    /// One of these strings; a miss lists them.
    Choice(&'static [&'static str]),
    /// The same as the original's other construction, whose misses read `Invalid input`.
    Literals(&'static [&'static str]),
    List(&'static Kind),
    /// Any keys, one kind of value.
    Map(&'static Kind),
    /// As `Map`, keys are `[a-z0-9-]+`.
    Named(&'static Kind),
    /// Only these keys.
    Object(&'static [Key]),
    /// These keys; others are dropped without a word.
    Stripped(&'static [Key]),
    /// These keys, and others of one kind.
    ObjectOr(&'static [Key], &'static Kind),
    Union(&'static [Kind]),
    /// Made when somebody asks for it.
    Late(fn() -> &'static Kind),
}

impl Kind {
    /// What is meant: never a `Late` one.
    pub fn now(&self) -> &Kind {
        match self {
            Kind::Late(kind) => kind(),
            kind => kind,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    Free,
    /// The bound excluded.
    Above(f64),
    /// The bound included.
    From(f64),
    /// Both included.
    Between(f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `RRGGBB`, a `#` allowed before it.
    Color,
    /// A telephone number, `+` and up to 15 digits.
    E164,
    /// A program by name or path, nothing that a shell would read as more than that.
    Executable,
}

pub const ANY: Kind = Kind::Any;
pub const BOOL: Kind = Kind::Bool;
pub const TEXT: Kind = Kind::Text {
    min: 0,
    max: usize::MAX,
};
pub const NON_EMPTY: Kind = Kind::Text {
    min: 1,
    max: usize::MAX,
};
pub const COLOR: Kind = Kind::Form(Form::Color);
pub const NUMBER: Kind = Kind::Number(Range::Free);
pub const ABOVE_ZERO: Kind = Kind::Number(Range::Above(0.0));
pub const INTEGER: Kind = Kind::Int(Range::Free);
/// At least 0.
pub const NATURAL: Kind = Kind::Int(Range::From(0.0));
/// At least 1, said as `>0`.
pub const POSITIVE: Kind = Kind::Int(Range::Above(0.0));
pub const TEXT_OR_NUMBER: Kind = Kind::Union(&[TEXT, NUMBER]);
pub const SCALAR: Kind = Kind::Union(&[TEXT, NUMBER, BOOL]);
pub const BOOL_OR_AUTO: Kind = Kind::Union(&[BOOL, Kind::Literals(&["auto"])]);

/// A string of at most `max` characters.
pub const fn short(max: usize) -> Kind {
    Kind::Text { min: 0, max }
}

pub const fn int_from(min: i64) -> Kind {
    Kind::Int(Range::From(min as f64))
}

pub const fn int_between(min: i64, max: i64) -> Kind {
    Kind::Int(Range::Between(min as f64, max as f64))
}

pub const fn num_from(min: f64) -> Kind {
    Kind::Number(Range::From(min))
}

pub const fn num_between(min: f64, max: f64) -> Kind {
    Kind::Number(Range::Between(min, max))
}

/// Tables of keys, one row a line: `"name" required: kind, "default", "what it is for";`. `ours` in
/// the place of `required` marks a key that the Node program refuses.
macro_rules! keys {
    ($($table:ident { $($name:literal $($mark:ident)?: $kind:expr, $default:literal, $doc:literal;)* })*) => {
        $(pub const $table: &[crate::config::keys::kind::Key] = &[$(crate::config::keys::kind::Key {
            text: concat!($name, "\0", $default, "\0", $doc),
            kind: $kind,
            mark: keys!(@ $($mark)?),
        }),*];)*
    };
    (@ required) => { crate::config::keys::kind::Mark::Required };
    (@ ours) => { crate::config::keys::kind::Mark::Ours };
    (@) => { crate::config::keys::kind::Mark::Optional };
}
pub(super) use keys;
