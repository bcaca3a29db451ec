//! Records of Azure key vaults, as diagnostic settings write them into blobs and event hubs.

use super::chance::Chance;
use super::stage::spread;
use chrono::DateTime;

const REFUSED: (u16, &str) = (403, "Forbidden");

/// The records of `count` accesses within `hours`, of which some are refused and some destroy.
pub(super) fn records(chance: &mut Chance, count: usize, hours: u64) -> Vec<(i64, String)> {
    spread(chance, count, hours, |number, secs, chance| {
        let who = chance.below(3);
        let (operation, (status, said)) = match chance.below(10) {
            0 => ("SecretDelete", (200, "OK")),
            1..=4 if who == 2 => ("SecretGet", REFUSED),
            _ => ("SecretGet", (200, "OK")),
        };
        let time = DateTime::from_timestamp(secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%S.1234567Z");
        let secret = format!("https://kv-a.vault.azure.net/secrets/s{}", chance.below(20));
        format!(
            "{{\"time\":\"{time}\",\"category\":\"AuditEvent\",\"operationName\":\"{operation}\",\"operationVersion\":\"7.5\",\"resultType\":\"Success\",\
             \"resultSignature\":\"{said}\",\"durationMs\":\"23\",\"correlationId\":\"{number:08x}-0000-4000-8000-{:012x}\",\"callerIpAddress\":\"203.0.113.9\",\
             \"identity\":{{\"claim\":{{\"oid\":\"5d1f0a3e-1111-4222-8333-44445555000{who}\",\"appid\":\"5d1f0a3e-1111-4222-8333-44445555000{who}\",\"appidacr\":\"2\",\"idtyp\":\"app\"}}}},\
             \"properties\":{{\"id\":\"{secret}\",\"clientInfo\":\"azsdk-net-Security.KeyVault.Secrets/4.6.0\",\"httpStatusCode\":{status},\"requestUri\":\"{secret}?api-version=7.5\",\"tlsVersion\":\"TLS1_3\"}},\
             \"resourceId\":\"/SUBSCRIPTIONS/0B0C/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/KV-A\"}}",
            number * 7919
        )
    })
}
