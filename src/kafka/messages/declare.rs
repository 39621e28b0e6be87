//! The macro in which messages are declared, field by field, much as in Kafka's own schema files
//! (`clients/src/main/resources/common/message/*.json` of apache/kafka, whose field names are kept).
//!
//! A field is `name: type [versions] = default;`. The brackets hold, in this order and each optional where it says nothing:
//! - `12..`, `..=14`, `7..=9`, `..`: the versions that have the field. In others it is not written, and reads as default;
//! - `12.., null 13..`: the versions in which an `Option` may be null. Without it, it may always;
//! - `tag 0, 12..`: the field is tagged, and written only when it is not the default.
//!
//! The default is the type's own unless it is given. Unknown tagged fields are skipped.

/// Declares message structs with [`super::wire::Wire`] and [`super::wire::Nullable`]; see the module's text.
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        struct $name:ident { $(
            $(#[$field_meta:meta])*
            $field:ident : $ty:ty $([ $($spec:tt)+ ])? $(= $default:expr)? ;
        )* }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: messages!(@default $($default)?), )* }
            }
        }

        impl $crate::kafka::messages::wire::Wire for $name {
            fn write(&self, to: &mut $crate::kafka::messages::wire::Writer) {
                $( messages!(@write to, self.$field, concat!(stringify!($name), ".", stringify!($field)), $($($spec)+)?); )*
                if to.is_flexible() {
                    #[allow(unused_mut)]
                    let mut tags: Vec<(u32, $crate::kafka::messages::wire::Frame)> = Vec::new();
                    $( messages!(@write_tag to, tags, self.$field, $ty, (messages!(@default $($default)?)), $($($spec)+)?); )*
                    to.tags(&tags);
                }
            }

            #[allow(unused_mut, unused_variables)]
            fn read(
                from: &mut $crate::kafka::messages::wire::Reader,
            ) -> Result<Self, $crate::kafka::messages::wire::DecodeError> {
                let mut it = Self::default();
                $(
                    from.enter(concat!(stringify!($name), ".", stringify!($field)));
                    messages!(@read from, it.$field, $($($spec)+)?);
                )*
                if from.is_flexible() {
                    from.enter(concat!(stringify!($name), "'s tagged fields"));
                    from.tags(|tag, from| {
                        $( messages!(@read_tag tag, from, it.$field, $($($spec)+)?); )*
                        Ok(false)
                    })?;
                }
                Ok(it)
            }
        }

        impl $crate::kafka::messages::wire::Nullable for $name {
            fn write_option(value: Option<&Self>, to: &mut $crate::kafka::messages::wire::Writer) {
                $crate::kafka::messages::wire::write_presence(value.is_some(), to);
                if let Some(value) = value {
                    $crate::kafka::messages::wire::Wire::write(value, to);
                }
            }

            fn read_option(
                from: &mut $crate::kafka::messages::wire::Reader,
            ) -> Result<Option<Self>, $crate::kafka::messages::wire::DecodeError> {
                let present = $crate::kafka::messages::wire::read_presence(from)?;
                present.then(|| $crate::kafka::messages::wire::Wire::read(from)).transpose()
            }
        }

        #[cfg(test)]
        impl $crate::kafka::messages::tests::generate::Generate for $name {
            #[allow(unused_mut, unused_variables)]
            fn generate(by: &mut $crate::kafka::messages::tests::generate::Generator) -> Self {
                let mut it = Self::default();
                $( messages!(@generate by, it.$field, $($($spec)+)?); )*
                it
            }
        }
    )+};

    (@default) => { Default::default() };
    (@default $default:expr) => { $default };

    (@write $to:ident, $value:expr, $name:expr,) => { $crate::kafka::messages::wire::Wire::write(&$value, $to) };
    (@write $to:ident, $value:expr, $name:expr, tag $tag:literal, $versions:expr) => {};
    (@write $to:ident, $value:expr, $name:expr, $versions:expr) => {
        if $to.is_in($versions) {
            $crate::kafka::messages::wire::Wire::write(&$value, $to);
        }
    };
    (@write $to:ident, $value:expr, $name:expr, $versions:expr, null $nulls:expr) => {
        if $to.is_in($versions) {
            if $value.is_none() && !$to.is_in($nulls) {
                $to.fail($crate::kafka::messages::wire::EncodeError::Null($name));
            }
            $crate::kafka::messages::wire::Wire::write(&$value, $to);
        }
    };

    (@write_tag $to:ident, $tags:ident, $value:expr, $ty:ty, $default:tt, tag $tag:literal, $versions:expr) => {
        let default: $ty = $default;
        if $to.is_in($versions) && $value != default {
            $tags.push(($tag, $to.tagged(&$value)));
        }
    };
    (@write_tag $to:ident, $tags:ident, $value:expr, $ty:ty, $default:tt, $($rest:tt)*) => {};

    (@read $from:ident, $value:expr,) => { $value = $crate::kafka::messages::wire::Wire::read($from)? };
    (@read $from:ident, $value:expr, tag $tag:literal, $versions:expr) => {};
    (@read $from:ident, $value:expr, $versions:expr) => {
        if $from.is_in($versions) {
            $value = $crate::kafka::messages::wire::Wire::read($from)?;
        }
    };
    (@read $from:ident, $value:expr, $versions:expr, null $nulls:expr) => {
        if $from.is_in($versions) {
            $value = $crate::kafka::messages::wire::Wire::read($from)?;
            if $value.is_none() && !$from.is_in($nulls) {
                return Err($from.error($crate::kafka::messages::wire::Problem::Null));
            }
        }
    };

    (@read_tag $found:ident, $from:ident, $value:expr, tag $tag:literal, $versions:expr) => {
        if $found == $tag && $from.is_in($versions) {
            $value = $crate::kafka::messages::wire::Wire::read($from)?;
            return Ok(true);
        }
    };
    (@read_tag $found:ident, $from:ident, $value:expr, $($rest:tt)*) => {};

    (@generate $by:ident, $value:expr,) => {
        $value = $crate::kafka::messages::tests::generate::Generate::generate($by)
    };
    (@generate $by:ident, $value:expr, tag $tag:literal, $versions:expr) => {
        messages!(@generate $by, $value, $versions)
    };
    (@generate $by:ident, $value:expr, $versions:expr) => {
        if $by.is_in($versions) {
            $value = $crate::kafka::messages::tests::generate::Generate::generate($by);
        }
    };
    (@generate $by:ident, $value:expr, $versions:expr, null $nulls:expr) => {
        if $by.is_in($versions) {
            let can_be_null = $by.is_in($nulls);
            $value = $by.option(can_be_null);
        }
    };
}
pub(super) use messages;
