#![cfg(target_os = "windows")]
//! The foreign loop of Windows: it waits for handles, or pumps the messages of its thread.

use crate::{OfEvent, OfQueue};
use doorbell_winsock::{Message, MessageQueue, NetEvents};
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};
use std::time::Duration;
use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::WaitForSingleObject;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    DispatchMessageW, MSG, MWMO_INPUTAVAILABLE, MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW,
    QS_ALLINPUT,
};

impl OfEvent {
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        // SAFETY: the waitable keeps the handle open.
        unsafe {
            WaitForSingleObject(self.waitable.as_raw_handle(), timeout.as_millis() as u32) == WAIT_OBJECT_0
        }
    }
}

impl OfQueue {
    pub(crate) fn new(_queue: &MessageQueue) -> OfQueue {
        OfQueue { waitable: None }
    }

    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        assert!(self.waitable.is_none(), "the thread's messages need no handle");
        let time = timeout.as_millis() as u32;
        // SAFETY: no handles, plain numbers.
        unsafe {
            MsgWaitForMultipleObjectsEx(0, null(), time, QS_ALLINPUT, MWMO_INPUTAVAILABLE) == WAIT_OBJECT_0
        }
    }
}

/// A GUI's pump takes the messages of all windows of its thread, and dispatches them.
#[test]
fn what_a_foreign_pump_dispatches_is_kept_in_order() {
    let (queue, other) = (MessageQueue::new().unwrap(), MessageQueue::new().unwrap());
    assert_ne!(queue.hwnd(), other.hwnd());
    let (near, far) = crate::pair();
    near.async_select(&queue.window(), 0x400, NetEvents::READ).unwrap();
    let outside = OfQueue::new(&queue);
    let next = |queue: &MessageQueue| queue.get(Some(Duration::ZERO)).unwrap();
    for round in 0..3 {
        queue.window().post(0x401, round, 1).unwrap();
        other.window().post(0x401, round, 2).unwrap();
        far.send(b"ding").unwrap();
        // Three messages, however they are spread over the waits.
        let mut dispatched = 0;
        while dispatched < 3 {
            assert!(outside.wait(crate::SOON), "the pump is not woken");
            let mut message = MSG::default();
            // SAFETY: the message is ours, and is given back as it came.
            unsafe {
                while PeekMessageW(&mut message, null_mut(), 0, 0, PM_REMOVE) != 0 {
                    DispatchMessageW(&message);
                    dispatched += 1;
                }
            }
        }
        // Behind what was dispatched stands what is still in the queue.
        queue.window().post(0x401, round, 3).unwrap();
        assert_eq!(next(&queue), Some(Message::Posted { id: 0x401, wparam: round, lparam: 1 }));
        let read = Message::Socket { id: 0x400, socket: near.id(), event: NetEvents::READ, error: 0 };
        assert_eq!(next(&queue), Some(read));
        assert_eq!(next(&queue), Some(Message::Posted { id: 0x401, wparam: round, lparam: 3 }));
        assert_eq!(next(&queue), None);
        assert_eq!(next(&other), Some(Message::Posted { id: 0x401, wparam: round, lparam: 2 }));
        assert_eq!(next(&other), None);
        assert_eq!(near.recv(&mut [0; 16]), Ok(4));
    }
}
