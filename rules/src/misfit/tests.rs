use super::misfit;

/// Entries that may fit are let through.
#[track_caller]
fn fits(list: &str, entries: &[&str]) {
    for entry in entries {
        assert_eq!(misfit(list, entry), None, "{entry} in {list}");
    }
}

/// Each entry is told, with this in what to write instead.
#[track_caller]
fn told(list: &str, entries: &[(&str, &str)]) {
    for (entry, remedy) in entries {
        let found = misfit(list, entry).unwrap_or_else(|| panic!("{entry} in {list} is let through"));
        assert!(found.remedy.contains(remedy), "{entry}: {found}");
    }
}

const IDS: &[&str] = &[
    "arn:aws:iam::111122223333:role/deploy",
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef",
    "arn:aws-cn:iam::111122223333:user/team/ada",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::*:role/deploy",
    "arn:*:role/deploy",
    "*:role/deploy",
    "arn:aws:iam::111122223333:*",
    "arn:aws:iam::111122223333:ro*",
    "arn:aws:iam::111122223333:role/deploy-*",
    "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com:aud:repo:shop/app:ref:refs/heads/main",
    "444455556666:AROAEXAMPLEEXAMPLE123",
    "444455556666",
    "AROAEXAMPLEEXAMPLE123",
    "backup.amazonaws.com",
    "94482488-3041-7026-18f3-be45837cd0e4",
    "90677c4b41-7d7e4c52-0000-4000-8000-000000000001",
    "7d7e4c52-0000-*",
    "deploy@shop.iam.gserviceaccount.com",
    "deploy@*",
    "service-123456@gcp-sa-scanner.iam.gserviceaccount.com",
    "123456@cloudservices.gserviceaccount.com",
    "ada@example.com",
    "s.van-der-petersen@example.com",
    "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
    "system:serviceaccount:prod:app",
    "anon@10.0.0.9",
    "root",
    "token-ci",
    "token:8a1f3c2d90b7e611",
    "approle/backup",
    "login:userpass/ada",
    "userpass-ada",
];

#[test]
fn every_form_of_an_identity_is_let_through() {
    for list in ["automation", "rotators", "break_glass"] {
        fits(list, IDS);
    }
}

#[test]
fn a_name_fits_where_names_are_compared_and_is_told_where_ids_are() {
    for name in [
        "deploy",
        "github-terraform-plan",
        "AWSReservedSSO_Admin_0123456789abcdef",
        "deploy-*",
        "entity_3f2a",
    ] {
        fits("break_glass", &[name]);
        told("automation", &[(name, "the id that an alert shows as Who")]);
        told("rotators", &[(name, "the entity id of Vault")]);
    }
}

#[test]
fn who_never_acts_is_told_with_who_does() {
    let role = "arn:aws:iam::111122223333:role/deploy";
    for list in ["automation", "break_glass"] {
        told(
            list,
            &[
                ("arn:aws:sts::111122223333:assumed-role/deploy/run-1", role),
                ("arn:aws:sts::111122223333:assumed-role/deploy/*", role),
                ("arn:aws:sts::111122223333:federated-user/ada", "the user who asks"),
                ("arn:aws:iam:eu-west-1:111122223333:role/deploy", role),
                ("arn:aws:iam::111122223333:policy/deploy", "write the role"),
                ("arn:aws:iam::111122223333:instance-profile/deploy", "write the role"),
                ("arn:aws:lambda:eu-west-1:111122223333:function:deploy", "write the role"),
                ("arn:aws:iam::11112222333:role/deploy", "12 digits"),
                ("arn:awss:iam::111122223333:role/deploy", "arn:aws:"),
                ("arn:aws:iam:111122223333:role/deploy", "REGION is empty"),
                ("arn:aws:iam::111122223333:role/", "role/NAME"),
                ("role/deploy", "*:role/deploy"),
                ("AKIAIOSFODNN7EXAMPLE", "the user or role"),
                ("serviceAccount:deploy@shop.iam.gserviceaccount.com", "write deploy@shop.iam"),
                (
                    "projects/shop/serviceAccounts/deploy@shop.iam.gserviceaccount.com",
                    "write deploy@shop.iam",
                ),
                ("deploy@shop.iam.gserviceacount.com", "PROJECT.iam.gserviceaccount.com"),
                ("group:ops@example.com", "its members"),
                ("ada@example", "as Who"),
                ("/subscriptions/1/resourceGroups/g/providers/x/y/z", "object id"),
            ],
        );
    }
    told(
        "automation",
        &[("7d7e4c52-0000-4000-8000-00000000001", "8-4-4-4-12"), ("7d7e4c5200004000800000000000001f", "8-4")],
    );
}

#[test]
fn a_token_in_a_list_is_told_without_repeating_it() {
    let found = misfit("automation", "hvs.CAESIJ1234567890abcdefghij").unwrap();
    assert!(found.remedy.contains("revoke it") && !found.to_string().contains("CAESIJ"), "{found}");
}

#[test]
fn every_form_of_a_secret_is_let_through() {
    fits(
        "canaries",
        &[
            "prod/canary-*",
            "prod/old",
            "*canary*",
            "/prod/db",
            "canary",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/canary",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/canary-backup",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/canary-??????",
            "arn:aws:secretsmanager:*:111122223333:secret:prod/canary",
            "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db",
            "arn:aws:ssm:eu-west-1:111122223333:para*",
            "arn:aws:kms:eu-west-1:111122223333:key/7d7e4c52-0000-4000-8000-000000000001",
            "arn:aws:kms:eu-west-1:111122223333:alias/canary",
            "projects/shop/secrets/canary",
            "projects/shop/locations/eu/keyRings/r/cryptoKeys/canary",
            "projects/shop/*",
            "https://shop.vault.azure.net/secrets/canary",
            "https://shop.vault.azure.net",
            "https://shop.vault.azure.net/secrets/*",
            "https://shop*",
            "vault:secret/prod/canary",
            "vault:team/kv/canary",
            "kv/app:prod",
        ],
    );
}

#[test]
fn a_secret_as_a_console_or_a_call_names_it_is_told_with_its_id() {
    told(
        "canaries",
        &[
            (
                "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/canary-a1B2c3",
                "write arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/canary",
            ),
            ("arn:aws:secretsmanager:eu-west-1:111122223333:prod/canary", ":secret:NAME"),
            ("arn:aws:secretsmanager::111122223333:secret:prod/canary", "write both"),
            (
                "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db:3",
                "write arn:aws:ssm:eu-west-1:111122223333:parameter/prod/db",
            ),
            ("arn:aws:s3:eu-west-1:111122223333:bucket/x", "or its name"),
            ("arn:aws:s3:::bucket/x", "write both"),
            ("projects/shop/secrets/canary/versions/3", "write projects/shop/secrets/canary"),
            ("projects/123456/secrets/canary", "projects/ID/"),
            ("projects/shop/canary", "projects/PROJECT/secrets/NAME"),
            (
                "https://shop.vault.azure.net/secrets/canary/0123456789abcdef0123456789abcdef",
                "write https://shop.vault.azure.net/secrets/canary",
            ),
            ("https://shop.valt.azure.net/secrets/canary", "vault.azure.net/secrets"),
            ("https://shop.vault.azure.net/secret/canary", "vault.azure.net/secrets/NAME"),
            ("http://shop.vault.azure.net/secrets/canary", "https://"),
            ("vault:secret/data/prod/canary", "write vault:secret/prod/canary"),
            ("valut:secret/prod/canary", "vault:"),
            ("gsm:canary", "projects/"),
            ("/canary", "write canary"),
        ],
    );
}

#[test]
fn networks_with_bits_behind_the_mask_and_without_any_are_told() {
    fits("known_networks", &["198.51.100.0/24", "198.51.100.7", "2001:db8::/32", "198.51.100.7/32"]);
    told(
        "machine_networks",
        &[("198.51.100.7/24", "write 198.51.100.0/24, or 198.51.100.7"), ("2001:db8::1/64", "2001:db8::/64")],
    );
    told("threat_networks", &[("0.0.0.0/0", "the networks that are meant"), ("::/0", "that are meant")]);
    told("aws_ranges", &[("office", "198.51.100.0/24")]);
}

#[test]
fn accounts_and_domains_are_told_apart() {
    let accounts = [
        "111122223333",
        "o-a1b2c3d4e5",
        "shop-prod",
        "example.com:shop",
        "7d7e4c52-0000-4000-8000-000000000001",
        "shop-*",
    ];
    fits("own_accounts", &accounts);
    fits("own_domains", &["example.com", "mail.example.com", "*"]);
    told(
        "own_accounts",
        &[
            ("arn:aws:iam::111122223333:root", "write 111122223333"),
            ("arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5", "write 111122223333"),
            ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*", "write o-a1b2c3d4e5,"),
            ("ou-ab12-11111111", "the organisation"),
            ("11112222333", "an account has 12"),
            ("example.com", "own_domains"),
            ("ops@example.com", "own_domains"),
        ],
    );
    told(
        "own_domains",
        &[
            ("ops@example.com", "write example.com"),
            ("https://example.com/x", "write example.com"),
            ("*.example.com", "write example.com"),
            ("example", "example.com"),
            ("shop.iam.gserviceaccount.com", "own_accounts"),
        ],
    );
}

#[test]
fn a_bucket_is_known_by_its_name_alone() {
    fits("audit_buckets", &["acme-org-logs", "acme-*-logs"]);
    told(
        "audit_buckets",
        &[
            ("arn:aws:s3:::acme-org-logs", "write acme-org-logs"),
            ("s3://acme-org-logs/AWSLogs/", "write acme-org-logs"),
            ("acme-org-logs/AWSLogs", "write acme-org-logs"),
        ],
    );
}

#[test]
fn a_list_of_another_name_holds_what_its_own_rule_asks() {
    fits("paymasters", &["anything at all", "role/x", "198.51.100.7/24"]);
}
