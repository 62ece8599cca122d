//! The serial number of this device.
//!
//! The value is the caller's word: whoever controls this program or its arguments chooses it. The end point asks the device
//! management about it, and a policy can require that the device is the caller's own.
//!
//! | system | where `auto` finds it |
//! |---|---|
//! | Linux | `/etc/sentinel/device`, which root must own and only root may write; else the firmware's tables, which root can read |
//! | macOS | `/usr/sbin/ioreg` |
//! | Windows | the BIOS, through CIM |
//!
//! Invariant: programs are started by absolute paths, without a shell and without arguments from outside.

use crate::failure::{Exit, Failure, quoted};

/// The serial number of a setting: itself, or this device's for `auto`.
pub(crate) fn serial_number(setting: Option<&str>) -> Result<Option<String>, Failure> {
    match setting {
        None => Ok(None),
        Some("auto") => usable(read()?).map(Some),
        Some(serial) if has_the_form(serial) => Ok(Some(serial.to_owned())),
        Some(_) => Err(Failure::new(
            Exit::Usage,
            "the serial number of the device is not 1 to 64 letters, digits or `-`",
            "correct --device or the setting `device`",
        )),
    }
}

/// What the system says, if it can be a serial number. Virtual machines have none, or a sentence.
fn usable(serial: String) -> Result<String, Failure> {
    if has_the_form(&serial) {
        return Ok(serial);
    }
    Err(unknown(&if serial.is_empty() {
        "the system reports none".to_owned()
    } else {
        format!("the system reports `{}`", quoted(&serial))
    }))
}

/// The form of the API.
fn has_the_form(serial: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=64).contains(&serial.len()) && serial.bytes().all(valid)
}

fn unknown(why: &str) -> Failure {
    Failure::local(
        format!("the serial number of this device is unknown: {why}"),
        "name it with --device, or see docs/client.md for the file that root writes",
    )
}

#[cfg(target_os = "linux")]
fn read() -> Result<String, Failure> {
    linux::read(std::path::Path::new("/etc/sentinel/device"), "/sys/class/dmi/id/product_serial")
        .map_err(|why| unknown(&why))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{ErrorKind, Read as _};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    pub(super) fn read(file: &Path, firmware: &str) -> Result<String, String> {
        match File::open(file) {
            Ok(opened) => from_file(opened, &file.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => std::fs::read_to_string(firmware)
                .map(|serial| serial.trim().to_owned())
                .map_err(|_| format!("{} does not exist", file.display())),
            Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
        }
    }

    fn from_file(mut file: File, path: &str) -> Result<String, String> {
        let metadata = file.metadata().map_err(|error| format!("{path}: {error}"))?;
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(format!("others than root can write {path}"));
        }
        let mut serial = String::new();
        file.read_to_string(&mut serial).map_err(|error| format!("{path}: {error}"))?;
        Ok(serial.trim().to_owned())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::os::unix::fs::PermissionsExt as _;

        /// THREAT: a user writes the serial number of somebody else's compliant device.
        /// PREVENTION: the file must be root's, and writable by root only.
        #[test]
        fn security_only_a_file_of_root_names_the_device() {
            let path = std::env::temp_dir().join(format!("sentinel-device-{}", std::process::id()));
            std::fs::write(&path, "C02-ABC\n").unwrap();
            let is_root = std::fs::metadata(&path).unwrap().uid() == 0;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(read(&path, "/nowhere").is_ok(), is_root);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
            assert!(read(&path, "/nowhere").unwrap_err().contains("others than root"));
            std::fs::remove_file(&path).unwrap();
            assert!(read(&path, "/nowhere").unwrap_err().contains("does not exist"));
        }
    }
}

#[cfg(target_os = "macos")]
fn read() -> Result<String, Failure> {
    let output = output("/usr/sbin/ioreg", &["-c", "IOPlatformExpertDevice", "-d", "2"])?;
    from_ioreg(&output).ok_or_else(|| unknown("ioreg does not show it"))
}

#[cfg(windows)]
fn read() -> Result<String, Failure> {
    let program = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe";
    let command = "(Get-CimInstance -ClassName Win32_BIOS).SerialNumber";
    let output = output(program, &["-NoProfile", "-NonInteractive", "-Command", command])?;
    Ok(output.trim().to_owned())
}

#[cfg(any(target_os = "macos", windows))]
fn output(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .env_clear()
        // PowerShell does not start without it. macOS ignores it.
        .env("SystemRoot", r"C:\Windows")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| unknown(&format!("{program} cannot start: {error}")))?;
    if !output.status.success() {
        return Err(unknown(&format!("{program} failed")));
    }
    String::from_utf8(output.stdout).map_err(|_| unknown(&format!("{program} prints no text")))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn read() -> Result<String, Failure> {
    Err(unknown("this operating system is not supported"))
}

/// The serial number in what `ioreg` prints.
#[cfg(any(target_os = "macos", test))]
fn from_ioreg(output: &str) -> Option<String> {
    let line = output.lines().find(|line| line.contains("\"IOPlatformSerialNumber\""))?;
    Some(line.split('=').nth(1)?.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_has_the_form_of_the_api() {
        assert_eq!(serial_number(None).unwrap(), None);
        assert_eq!(serial_number(Some("ALICE-MAC")).unwrap().as_deref(), Some("ALICE-MAC"));
        for wrong in ["", "a b", "a&profile=b", &"x".repeat(65)] {
            assert_eq!(serial_number(Some(wrong)).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_machine_without_a_serial_number_says_so() {
        assert_eq!(usable("C02-ABC".to_owned()).unwrap(), "C02-ABC");
        let none = usable(String::new()).unwrap_err();
        assert!(none.exit == Exit::Local && none.what.ends_with("the system reports none"));
        let sentence = usable("VMware-56 4d".to_owned()).unwrap_err();
        assert!(sentence.what.ends_with("the system reports `VMware-56 4d`"), "{}", sentence.what);
    }

    #[test]
    fn the_serial_number_is_found_in_what_ioreg_prints() {
        let output = "+-o Mac  <class IOPlatformExpertDevice>\n    {\n      \"model\" = <\"Mac14,2\">\n      \
            \"IOPlatformSerialNumber\" = \"C02EXAMPLE\"\n    }\n";
        assert_eq!(from_ioreg(output).as_deref(), Some("C02EXAMPLE"));
        assert_eq!(from_ioreg("nothing"), None);
    }
}
