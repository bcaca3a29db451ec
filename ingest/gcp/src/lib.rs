//! Google Cloud as a source of audit events: Cloud Logging, Pub/Sub, objects of a sink.
