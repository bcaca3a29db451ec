//! What an alert that is remembered takes of memory.

use keywatch_event::{Alert, AlertSession, Evidence, SecretRef};

/// Bytes of one block of the allocator, with what it takes for itself.
fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.next_multiple_of(16) + 16 }
}

/// Bytes that an alert takes, with everything it holds.
pub(crate) fn bytes_of(alert: &Alert) -> usize {
    let texts = [
        Some(&alert.id.0),
        Some(&alert.rule),
        Some(&alert.title),
        Some(&alert.action),
        Some(&alert.why.text),
        alert.why.baseline.as_ref(),
        alert.account.as_ref(),
        alert.store.as_ref(),
        alert.principal.as_ref().map(|principal| &principal.id),
        alert.principal.as_ref().and_then(|principal| principal.name.as_ref()),
        alert.source.as_ref().and_then(|source| source.raw.as_ref()),
    ];
    let texts: usize = texts.into_iter().flatten().map(|text| block(text.len())).sum();
    let tags: usize = alert.tags.iter().map(|tag| size_of::<String>() + block(tag.len())).sum();
    let secret = |secret: &SecretRef<'_>| {
        let version = secret.version.as_deref().map_or(0, str::len);
        size_of::<SecretRef<'_>>() + block(secret.id.len()) + block(secret.name.len()) + block(version)
    };
    let secrets: usize = alert.secrets.iter().map(secret).sum();
    let row = |row: &Evidence| size_of::<Evidence>() + block(row.event.len());
    let evidence: usize = alert.evidence.iter().map(row).sum();
    let session = |session: &AlertSession| {
        let parts = [&session.name, &session.access_key].into_iter().flatten();
        size_of::<AlertSession>() + parts.map(|part| block(part.len())).sum::<usize>()
    };
    let sessions: usize = alert.sessions.first.iter().map(session).sum();
    // A list has a block of its own.
    block(size_of::<Alert>()) + texts + tags + secrets + evidence + sessions + 4 * 16
}
