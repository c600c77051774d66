//! The class of the windows here. A pump that is not this crate's, a GUI's, takes the messages of every window of its
//! thread and dispatches them: then they come to the procedure of this class, and are kept in their order for who asks.

use super::super::error::{Result, last_system_error};
use crate::async_select::WM_USER;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::UI::WindowsAndMessaging::{DefWindowProcW, MSG, RegisterClassW, WNDCLASSW};

thread_local! {
    static DISPATCHED: RefCell<VecDeque<MSG>> = const { RefCell::new(VecDeque::new()) };
}

/// The class, as the system takes it in place of a name.
pub(super) fn class() -> Result<*const u16> {
    static CLASS: OnceLock<Result<u16>> = OnceLock::new();
    CLASS.get_or_init(register).map(|atom| usize::from(atom) as *const u16)
}

/// The oldest message of this window that a foreign pump has dispatched.
pub(in super::super) fn take(hwnd: HWND) -> Option<MSG> {
    DISPATCHED.with_borrow_mut(|kept| {
        let at = kept.iter().position(|message| message.hwnd == hwnd)?;
        kept.remove(at)
    })
}

fn register() -> Result<u16> {
    // Another copy of this crate in the process has a procedure of its own, and so another name.
    let name = format!("doorbell-winsock {:x}\0", procedure as *const () as usize);
    let name: Vec<u16> = name.encode_utf16().collect();
    // SAFETY: asks for the program's own module.
    let module = unsafe { GetModuleHandleW(null()) };
    let class = WNDCLASSW {
        style: 0,
        lpfnWndProc: Some(procedure),
        cbClsExtra: 0,
        cbWndExtra: 0,
        hInstance: module,
        hIcon: null_mut(),
        hCursor: null_mut(),
        hbrBackground: null_mut(),
        lpszMenuName: null(),
        lpszClassName: name.as_ptr(),
    };
    // SAFETY: the system copies the class and its name.
    match unsafe { RegisterClassW(&class) } {
        0 => Err(last_system_error()),
        atom => Ok(atom),
    }
}

// SAFETY: called by the system, in the thread of the window, with a message's four values.
unsafe extern "system" fn procedure(hwnd: HWND, id: u32, wparam: WPARAM, lparam: LPARAM) -> LRESULT {
    if id < WM_USER {
        // SAFETY: these are the values that came.
        return unsafe { DefWindowProcW(hwnd, id, wparam, lparam) };
    }
    let message = MSG { hwnd, message: id, wParam: wparam, lParam: lparam, ..MSG::default() };
    // In a thread that is ending nobody asks any more.
    let _ = DISPATCHED.try_with(|kept| kept.borrow_mut().push_back(message));
    0
}
