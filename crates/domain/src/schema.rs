//! How the types of this crate are described to callers: JSON Schema 2020-12, the dialect of OpenAPI
//! 3.1. A pattern here is never wider than what is taken.

use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{
    ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaFormat, Type,
};

use crate::limits;

/// Words of letters, digits, `_` or `-`.
pub(crate) const WORD: &str = "^[A-Za-z0-9_-]{1,64}$";
/// From 1s to 3d; other ways of writing the same are taken, too.
pub(crate) const RETRY_WAIT: &str =
    "^([1-9][0-9]{0,4}s|[1-9][0-9]{0,2}m|([1-9]|[1-6][0-9]|7[0-2])h|[1-3]d)$";
/// From 100ms to 2m.
const TIMEOUT: &str = "^([1-9][0-9]{2,4}ms|([1-9][0-9]?|1[01][0-9]|120)s|[12]m)$";
/// From nothing to 30d.
const GRACE: &str = "^([0-9]{1,6}s|[0-9]{1,4}m|[0-9]{1,2}h|([0-9]|[12][0-9]|30)d)$";
/// The name of a header (RFC 9110, 5.1).
pub(crate) const HEADER_NAME: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$";
/// The value of a header: visible ASCII and spaces.
const HEADER_VALUE: &str = "^[ -~]*$";
/// A URL that a webhook can be sent to: a host name that does not end in a number, or an IPv4 address.
const URL: &str = concat!(
    r"^https?://(([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?",
    r"|((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}",
    r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9]))",
    r##"(:[1-9][0-9]{0,3})?([/?][!"$-~]*)?$"##
);

/// Visible ASCII without spaces.
pub(crate) const VISIBLE: &str = "^[!-~]+$";

/// A text of this pattern.
pub(crate) fn text(pattern: &str, chars_max: usize) -> ObjectBuilder {
    let builder = ObjectBuilder::new().schema_type(Type::String);
    builder.pattern(Some(pattern)).max_length(Some(chars_max))
}

/// A text of this pattern, as a field or an item.
pub(crate) fn field(pattern: &str, chars_max: usize) -> Object {
    text(pattern, chars_max).build()
}

pub(crate) fn url() -> Object {
    field(URL, limits::URL_BYTES_MAX)
}

pub(crate) fn secret() -> Object {
    let builder = text(VISIBLE, limits::SECRET_BYTES_MAX);
    builder.format(Some(SchemaFormat::KnownFormat(KnownFormat::Password))).build()
}

pub(crate) fn certificate() -> Object {
    field("^-----BEGIN CERTIFICATE-----", limits::CERTIFICATE_BYTES_MAX)
}

pub(crate) fn private_key() -> Object {
    let builder = text("^-----BEGIN [A-Z ]*PRIVATE KEY-----", limits::CERTIFICATE_BYTES_MAX);
    builder.format(Some(SchemaFormat::KnownFormat(KnownFormat::Password))).build()
}

pub(crate) fn accept() -> Object {
    or_null(text(HEADER_VALUE, limits::HEADER_VALUE_BYTES_MAX), Type::String)
}

pub(crate) fn timeout() -> Object {
    or_null(text(TIMEOUT, 7), Type::String)
}

pub(crate) fn grace() -> Object {
    or_null(text(GRACE, 7), Type::String)
}

pub(crate) fn headers() -> Object {
    let names = field(HEADER_NAME, 64);
    let values = text(HEADER_VALUE, limits::HEADER_VALUE_BYTES_MAX);
    let headers = ObjectBuilder::new().property_names(Some(names));
    let headers = headers.additional_properties(Some(values));
    or_null(headers.max_properties(Some(limits::HEADERS_MAX)), Type::Object)
}

/// `null` is as good as no field at all.
fn or_null(builder: ObjectBuilder, kind: Type) -> Object {
    builder.schema_type(SchemaType::from_iter([kind, Type::Null])).build()
}

/// One id, or at most [`limits::FILTER_IDS_MAX`].
pub(crate) fn ids() -> Schema {
    let id = || Ref::from_schema_name("DeadLetterId");
    let ids = ArrayBuilder::new().items(id()).max_items(Some(limits::FILTER_IDS_MAX));
    OneOfBuilder::new().item(id()).item(ids).into()
}

/// Describes a type that is written as a text: its description, the text, and an example.
macro_rules! text_schema {
    ($type:ident, $description:expr, $text:expr, $example:expr) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $text.description(Some($description)).examples([$example]).into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}
pub(crate) use text_schema;
