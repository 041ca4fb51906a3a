//! The methods in a serialized `FileDescriptorSet`, which `protoc` and tonic's build scripts write.

/// Calls `method` with the full name of each method in a `FileDescriptorSet`.
///
/// Returns `None` if the bytes are malformed.
pub(crate) fn for_each_method(set: &[u8], method: &mut dyn FnMut(String)) -> Option<()> {
    for_each_field(set, &mut |number, file| match number {
        FILE => for_each_method_in_file(file, method),
        _ => Some(()),
    })
}

// Numbers of the fields in `google/protobuf/descriptor.proto`.
const FILE: u64 = 1;
const FILE_PACKAGE: u64 = 2;
const FILE_SERVICE: u64 = 6;
const NAME: u64 = 1;
const SERVICE_METHOD: u64 = 2;

fn for_each_method_in_file(file: &[u8], method: &mut dyn FnMut(String)) -> Option<()> {
    let package = text_field(file, FILE_PACKAGE)?;
    for_each_field(file, &mut |number, service| {
        if number != FILE_SERVICE {
            return Some(());
        }
        let name = text_field(service, NAME)?;
        let service_name = if package.is_empty() {
            name.to_owned()
        } else {
            format!("{package}.{name}")
        };
        for_each_field(service, &mut |number, descriptor| {
            if number == SERVICE_METHOD {
                method(format!("{service_name}/{}", text_field(descriptor, NAME)?));
            }
            Some(())
        })
    })
}

/// Returns the value of a string field, or an empty string if the message does not have it.
fn text_field(message: &[u8], field: u64) -> Option<&str> {
    let mut text = "";
    for_each_field(message, &mut |number, value| {
        if number == field {
            text = std::str::from_utf8(value).ok()?;
        }
        Some(())
    })?;
    Some(text)
}

/// Calls `field` with the number and the bytes of each length-delimited field of a message.
fn for_each_field<'a>(mut message: &'a [u8], field: &mut dyn FnMut(u64, &'a [u8]) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                field(tag >> 3, value)?;
                message = rest;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(set: &[u8]) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for_each_method(set, &mut |name| names.push(name))?;
        Some(names)
    }

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[number << 3 | 2, length], value].concat()
    }

    #[test]
    fn finds_the_methods_of_all_files() {
        let method = |name: &[u8]| field(2, &[field(1, name), field(2, b".pkg.Message")].concat());
        let service = |name: &[u8]| field(6, &[field(1, name), method(b"Get"), method(b"Put")].concat());
        let file =
            |package: &[u8], name: &[u8]| field(1, &[field(1, b"a.proto"), package.to_vec(), service(name)].concat());
        let set = [file(&field(2, b"pkg.v1"), b"Shop"), file(b"", b"Bare")].concat();
        assert_eq!(
            methods(&set).unwrap(),
            ["pkg.v1.Shop/Get", "pkg.v1.Shop/Put", "Bare/Get", "Bare/Put"]
        );
        assert_eq!(methods(b"").unwrap().len(), 0);
        for cut in 1..set.len() {
            let _ = methods(&set[..cut]);
        }
        assert_eq!(methods(b"hello"), None);
    }
}
