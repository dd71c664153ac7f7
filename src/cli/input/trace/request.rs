//! What all formats have in common.

use heapledger::TraceRequest;

/// A request for an object, unless it is for 0 bytes.
pub fn used(object: u64, size: u64) -> Option<TraceRequest> {
    (size > 0).then_some(TraceRequest::Use { object, size })
}
