//! Azure as a source of audit events: append blobs that a diagnostic setting writes.
