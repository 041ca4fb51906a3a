//! Conversion of the values in `#[traced(fields(…))]` to attribute values.

use std::borrow::Cow;

use opentelemetry::{Array, KeyValue, StringValue, Value};

/// Returns the attribute of a field, or `None` if the field has no value.
pub fn attribute(name: &'static str, value: impl FieldValue) -> Option<KeyValue> {
    value.to_value().map(|value| KeyValue::new(name, value))
}

/// A type that can be the value of a field.
///
/// Implemented for everything that an OpenTelemetry attribute can hold, for references to it, and
/// for `Option`s of it. `None` adds no attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as an OpenTelemetry attribute value",
    label = "expected a string, an integer, a float, a bool, a slice of them, or an `Option`",
    note = "convert a value that implements `Display` with `.to_string()`"
)]
pub trait FieldValue {
    /// Returns the attribute value, or `None` to add no attribute.
    fn to_value(&self) -> Option<Value>;
}

/// A type that can be an element of an array attribute.
pub trait Element: Sized {
    /// Returns the array attribute of these elements.
    fn array(items: &[Self]) -> Array;
}

impl<T: FieldValue + ?Sized> FieldValue for &T {
    fn to_value(&self) -> Option<Value> {
        (**self).to_value()
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_ref()?.to_value()
    }
}

impl FieldValue for Value {
    fn to_value(&self) -> Option<Value> {
        Some(self.clone())
    }
}

impl FieldValue for str {
    fn to_value(&self) -> Option<Value> {
        Some(self.to_owned().into())
    }
}

impl<T: Element> FieldValue for [T] {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Array(T::array(self)))
    }
}

impl<T: Element, const N: usize> FieldValue for [T; N] {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

impl<T: Element> FieldValue for Vec<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

/// Implements both traits for types that convert to an OpenTelemetry type without loss.
macro_rules! scalars {
    ($($ty:ty => $to:ty, $array:ident;)*) => {$(
        impl FieldValue for $ty {
            fn to_value(&self) -> Option<Value> {
                Some(<$to>::from(self.clone()).into())
            }
        }

        impl Element for $ty {
            // Inlined, so that only those are compiled that a service uses.
            #[inline]
            fn array(items: &[Self]) -> Array {
                Array::$array(items.iter().cloned().map(<$to>::from).collect())
            }
        }
    )*};
}

scalars! {
    bool => bool, Bool;
    i8 => i64, I64;
    i16 => i64, I64;
    i32 => i64, I64;
    i64 => i64, I64;
    u8 => i64, I64;
    u16 => i64, I64;
    u32 => i64, I64;
    f32 => f64, F64;
    f64 => f64, F64;
    String => StringValue, String;
    StringValue => StringValue, String;
}

impl Element for &str {
    #[inline]
    fn array(items: &[Self]) -> Array {
        Array::String(items.iter().map(|item| StringValue::from((*item).to_owned())).collect())
    }
}

impl FieldValue for Cow<'_, str> {
    fn to_value(&self) -> Option<Value> {
        self.as_ref().to_value()
    }
}

/// Implements [`FieldValue`] for integers that may not fit into OpenTelemetry's `i64`.
///
/// An integer that does not fit becomes a string, because a truncated number would be wrong.
macro_rules! large_integers {
    ($($ty:ty)*) => {$(
        impl FieldValue for $ty {
            fn to_value(&self) -> Option<Value> {
                Some(i64::try_from(*self).map_or_else(|_| self.to_string().into(), Value::from))
            }
        }
    )*};
}

large_integers! { u64 usize isize i128 u128 }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_every_supported_type() {
        let value = |value: &dyn FieldValue| value.to_value().unwrap();
        assert_eq!(value(&true), Value::Bool(true));
        assert_eq!(value(&-1_i8), Value::I64(-1));
        assert_eq!(value(&u32::MAX), Value::I64(4_294_967_295));
        assert_eq!(value(&7_u64), Value::I64(7));
        assert_eq!(value(&u64::MAX), Value::from("18446744073709551615"));
        assert_eq!(value(&0.5_f32), Value::F64(0.5));
        assert_eq!(value(&"text"), Value::from("text"));
        assert_eq!(value(&"text".to_owned()), Value::from("text"));
        assert_eq!(value(&Cow::Borrowed("text")), Value::from("text"));
        assert_eq!(value(&Some(&&"text")), Value::from("text"));
        assert_eq!(value(&Value::Bool(false)), Value::Bool(false));
        assert_eq!(value(&vec![1, 2]), Value::Array(Array::I64(vec![1, 2])));
        assert_eq!(value(&[1.5, 2.5]), Value::Array(Array::F64(vec![1.5, 2.5])));
        assert_eq!(value(&&[true][..]), Value::Array(Array::Bool(vec![true])));
        assert_eq!(
            value(&["a", "b"]),
            Value::Array(Array::String(vec!["a".into(), "b".into()]))
        );
        assert_eq!(
            value(&vec!["a".to_owned()]),
            Value::Array(Array::String(vec!["a".into()]))
        );
    }

    #[test]
    fn none_adds_no_attribute() {
        assert_eq!(attribute("name", None::<&str>), None);
        assert_eq!(attribute("name", Some(1)), Some(KeyValue::new("name", 1)));
    }
}
