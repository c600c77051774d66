#![cfg(target_os = "windows")]
//! A pump as a GUI has it: it takes the messages of every window of the thread, and handles beside them.

use crate::ForeignLoop;
use doorbell_winsock::{Event, MessageQueue, Result};
use std::io;
use std::os::windows::io::AsRawHandle;
use windows_sys::Win32::Foundation::WAIT_FAILED;
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    DispatchMessageW, MSG, MWMO_INPUTAVAILABLE, MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW,
    QS_ALLINPUT, TranslateMessage,
};

impl ForeignLoop {
    pub(crate) fn new(_queue: &MessageQueue, event: &Event) -> Result<ForeignLoop> {
        Ok(ForeignLoop { event: event.waitable()?, queue: None })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        debug_assert!(self.queue.is_none(), "the wait below is for messages as well");
        let handle = self.event.as_raw_handle();
        // SAFETY: one handle, which the waitable keeps open.
        let woken =
            unsafe { MsgWaitForMultipleObjectsEx(1, &handle, INFINITE, QS_ALLINPUT, MWMO_INPUTAVAILABLE) };
        if woken == WAIT_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut message = MSG::default();
        // SAFETY: the message is ours, and is given back as it came. What is for the queue's window is kept for `get`.
        unsafe {
            while PeekMessageW(&mut message, std::ptr::null_mut(), 0, 0, PM_REMOVE) != 0 {
                TranslateMessage(&message);
                DispatchMessageW(&message);
            }
        }
        Ok(())
    }
}
