//! A limit on what the SDK reads: it would read an answer of any size into memory.

use crate::backend::http::BODY_BYTES_MAX;
use aws_sdk_secretsmanager::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// Ends an answer that is larger than [`BODY_BYTES_MAX`] with an error.
#[derive(Debug)]
pub(super) struct Bound;

impl Intercept for Bound {
    fn name(&self) -> &'static str {
        "KeywatchBound"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().take_body();
        *context.response_mut().body_mut() = SdkBody::from_body_1_x(Limited::new(body, BODY_BYTES_MAX));
        Ok(())
    }
}
