//! Cloud Storage's XML interface, as far as objects are listed and read.

use crate::{Google, State, logging};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use chrono::DateTime;
use std::collections::{BTreeSet, HashMap};

/// Names of one page; Google's has a thousand.
const PAGE: usize = 7;

pub(crate) fn routes(google: Google) -> Router {
    let reading = google.clone();
    Router::new()
        .route(
            "/{bucket}",
            get(
                async move |Path(bucket): Path<String>,
                            Query(query): Query<HashMap<String, String>>,
                            headers: HeaderMap| {
                    answer(&google, &headers, |state| list(state, &bucket, &query))
                },
            ),
        )
        .route(
            "/{bucket}/{*key}",
            get(async move |Path((bucket, key)): Path<(String, String)>, headers: HeaderMap| {
                answer(&reading, &headers, |state| read(state, &bucket, &key, &headers))
            }),
        )
}

fn answer(google: &Google, headers: &HeaderMap, act: impl FnOnce(&mut State) -> Response) -> Response {
    let mut state = google.lock();
    if !state.lets_in(headers) {
        return plain(401, "<Error><Code>AuthenticationRequired</Code></Error>");
    }
    state.fetches += 1;
    let (throttled, failed, reset) = (state.faults.throttled, state.faults.failed, state.faults.reset);
    if state.chance.happens(throttled) {
        return plain(429, "<Error><Code>SlowDown</Code></Error>");
    }
    if state.chance.happens(failed) {
        return plain(503, "<Error><Code>ServiceUnavailable</Code></Error>");
    }
    if state.chance.happens(reset) {
        return logging::broken("<ListBucketResult><Contents>");
    }
    act(&mut state)
}

fn list(state: &mut State, bucket: &str, query: &HashMap<String, String>) -> Response {
    let Some(objects) = state.objects.get(bucket) else {
        return plain(404, "<Error><Code>NoSuchBucket</Code></Error>");
    };
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let after = text("continuation-token").max(text("start-after"));
    let (mut contents, mut folders, mut last) = (Vec::new(), BTreeSet::new(), None);
    let mut more = false;
    for (key, (written, bytes)) in
        objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after)
    {
        if contents.len() >= PAGE {
            more = true;
            break;
        }
        let rest = key.strip_prefix(prefix).unwrap_or_default();
        match rest.split_once('/').filter(|_| !delimiter.is_empty()) {
            Some((folder, _)) => {
                folders.insert(format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"));
            }
            None => contents.push(format!(
                "<Contents><Key>{key}</Key><LastModified>{}</LastModified><Size>{}</Size><ETag>\"{written}\"</ETag></Contents>",
                DateTime::from_timestamp(*written, 0).unwrap_or_default().to_rfc3339(),
                bytes.len()
            )),
        }
        last = Some(key);
    }
    let folders: String = folders.into_iter().collect();
    let token =
        last.filter(|_| more).map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
    plain(
        200,
        &format!(
            "<ListBucketResult>{}{folders}{}</ListBucketResult>",
            contents.concat(),
            token.unwrap_or_default()
        ),
    )
}

fn read(state: &mut State, bucket: &str, key: &str, headers: &HeaderMap) -> Response {
    state.parts += 1;
    let missing = state.faults.missing;
    if state.chance.happens(missing) {
        return plain(404, "<Error><Code>NoSuchKey</Code></Error>");
    }
    let Some((written, bytes)) = state.objects.get(bucket).and_then(|objects| objects.get(key)) else {
        return plain(404, "<Error><Code>NoSuchKey</Code></Error>");
    };
    let asked = headers.get("range").and_then(|range| range.to_str().ok()).and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
    });
    let (from, to) = asked.unwrap_or((0, bytes.len().saturating_sub(1)));
    let Some(part) = bytes.get(from..=to) else { return plain(416, "") };
    Response::builder()
        .status(if asked.is_some() { 206 } else { 200 })
        .header("last-modified", DateTime::from_timestamp(*written, 0).unwrap_or_default().to_rfc2822())
        .header("etag", format!("\"{written}\""))
        .header("content-range", format!("bytes {from}-{to}/{}", bytes.len()))
        .body(Body::from(part.to_vec()))
        .unwrap()
}

fn plain(status: u16, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
