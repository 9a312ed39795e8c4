//! What a configuration value may be: the part of a schema language that the tables need.

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The Node program does not know it and refuses a file that has it.
    pub ours: bool,
    /// In words, for people; empty when there is none. What the program fills in by itself is in
    /// `defaults`.
    pub default: &'static str,
    /// Empty for a section whose keys explain it.
    pub doc: &'static str,
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
    /// `above` excludes its bound, `min` and `max` include theirs.
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
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub above: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `RRGGBB`, a `#` allowed before it.
    Color,
    /// A telephone number, `+` and up to 15 digits.
    E164,
}

const FREE: Range = Range {
    above: None,
    min: None,
    max: None,
};
const FROM_ZERO: Range = Range {
    min: Some(0.0),
    ..FREE
};
const OVER_ZERO: Range = Range {
    above: Some(0.0),
    ..FREE
};

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
pub const NUMBER: Kind = Kind::Number(FREE);
pub const ABOVE_ZERO: Kind = Kind::Number(OVER_ZERO);
pub const INTEGER: Kind = Kind::Int(FREE);
/// At least 0.
pub const NATURAL: Kind = Kind::Int(FROM_ZERO);
/// At least 1, said as `>0`.
pub const POSITIVE: Kind = Kind::Int(OVER_ZERO);
pub const TEXT_OR_NUMBER: Kind = Kind::Union(&[TEXT, NUMBER]);
pub const SCALAR: Kind = Kind::Union(&[TEXT, NUMBER, BOOL]);
pub const BOOL_OR_AUTO: Kind = Kind::Union(&[BOOL, Kind::Literals(&["auto"])]);

/// A string of at most `max` characters.
pub const fn short(max: usize) -> Kind {
    Kind::Text { min: 0, max }
}

pub const fn int_from(min: i64) -> Kind {
    Kind::Int(Range {
        min: Some(min as f64),
        ..FREE
    })
}

pub const fn int_between(min: i64, max: i64) -> Kind {
    Kind::Int(Range {
        min: Some(min as f64),
        max: Some(max as f64),
        above: None,
    })
}

pub const fn num_from(min: f64) -> Kind {
    Kind::Number(Range {
        min: Some(min),
        ..FREE
    })
}

pub const fn num_between(min: f64, max: f64) -> Kind {
    Kind::Number(Range {
        min: Some(min),
        max: Some(max),
        above: None,
    })
}

/// Tables of keys, one row a line: `"name" required: kind, "default", "what it is for";`. `ours` in
/// the place of `required` marks a key that the Node program refuses.
macro_rules! keys {
    ($($table:ident { $($name:literal $($mark:ident)?: $kind:expr, $default:literal, $doc:literal;)* })*) => {
        $(pub const $table: &[crate::config::keys::kind::Key] = &[$(crate::config::keys::kind::Key {
            name: $name,
            kind: $kind,
            required: keys!(@required $($mark)?),
            ours: keys!(@ours $($mark)?),
            default: $default,
            doc: $doc,
        }),*];)*
    };
    (@required required) => { true };
    (@ours ours) => { true };
    (@$any:ident $($mark:ident)?) => { false };
}
pub(super) use keys;
