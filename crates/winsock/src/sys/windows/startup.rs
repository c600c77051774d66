//! Starting Winsock 2.2, once; it is never stopped, since the end of the process does that.

use super::error::Result;
use super::host;
use crate::error::{WSAEINVAL, WSASYSNOTREADY};
use crate::startup::{Backend, BackendChoice, Refusal};
use std::sync::OnceLock;
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Networking::WinSock::{WSADATA, WSAStartup};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;
use windows_sys::w;

static STARTED: OnceLock<Result<()>> = OnceLock::new();

pub(crate) fn startup() -> Result<()> {
    *STARTED.get_or_init(|| {
        match wanted_by_environment() {
            Ok(choice) => grant(choice).map_err(|_| WSASYSNOTREADY)?,
            Err(_) => return Err(WSAEINVAL),
        };
        start_winsock()
    })
}

pub(crate) fn choose_backend(choice: BackendChoice) -> std::result::Result<Backend, Refusal> {
    let backend = grant(choice)?;
    // What the program asks for by hand outranks the environment.
    match STARTED.get_or_init(start_winsock) {
        Ok(()) => Ok(backend),
        Err(code) => Err(Refusal {
            backend,
            cause: format!("Winsock did not start (error {code})"),
            remedy: "correct the environment variable DOORBELL_BACKEND, or repair the system's network"
                .into(),
        }),
    }
}

pub(crate) fn backend() -> Backend {
    Backend::Winsock
}

pub(crate) fn fallback() -> Option<Refusal> {
    None
}

pub(crate) fn report() -> Vec<(String, String)> {
    let mut lines = vec![("system".into(), windows_version())];
    if let Some(version) = wine_version() {
        lines.push(("wine".into(), format!("{version}: this is not Windows itself")));
    }
    let winsock = match startup() {
        Ok(()) => "2.2 started".into(),
        Err(code) => format!("did not start (error {code})"),
    };
    lines.push(("winsock".into(), winsock));
    lines.push(("processors".into(), crate::host::processors().to_string()));
    lines.push(("handles open".into(), host::descriptors_open().to_string()));
    lines
}

fn grant(choice: BackendChoice) -> std::result::Result<Backend, Refusal> {
    match choice {
        BackendChoice::Auto | BackendChoice::Only(Backend::Winsock) => Ok(Backend::Winsock),
        BackendChoice::Only(backend) => Err(Refusal {
            backend,
            cause: "it belongs to Linux, and this is Windows".into(),
            remedy: "ask for auto or winsock".into(),
        }),
    }
}

fn wanted_by_environment() -> std::result::Result<BackendChoice, String> {
    std::env::var("DOORBELL_BACKEND").map_or(Ok(BackendChoice::Auto), |name| name.parse())
}

fn start_winsock() -> Result<()> {
    let mut data = WSADATA::default();
    // SAFETY: the structure is ours and outlives the call. This one answers its error itself.
    match unsafe { WSAStartup(0x0202, &mut data) } {
        0 => Ok(()),
        code => Err(code),
    }
}

fn windows_version() -> String {
    let size = u32::try_from(size_of::<OSVERSIONINFOW>()).unwrap_or(0);
    let mut info = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..Default::default() };
    // SAFETY: the structure is ours and says its own size.
    unsafe { RtlGetVersion(&mut info) };
    format!("Windows {}.{}.{}", info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber)
}

/// Wine says so itself: its ntdll exports a function that Windows does not have.
fn wine_version() -> Option<String> {
    // SAFETY: ntdll is in every process and never unloaded; the function, where it is there, takes nothing and
    // returns a constant C string.
    unsafe {
        let function =
            GetProcAddress(GetModuleHandleW(w!("ntdll.dll")), windows_sys::s!("wine_get_version"))?;
        let function: extern "C" fn() -> *const std::ffi::c_char = std::mem::transmute(function);
        Some(std::ffi::CStr::from_ptr(function()).to_string_lossy().into_owned())
    }
}
