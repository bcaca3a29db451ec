//! One mail server after the other that misbehaves, over real sockets.

use crate::egress::{Egress, EgressPolicy, Lookup, Resolved};
use crate::receiver::{Email, MailTls, Receiver, ReceiverKind};
use crate::reply::{Reply, Verdict};
use crate::sender::{Outbound, Sender};
use crate::testing::{Break, Broken, DEADLINE, noon, notification, outbound};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a server behaves when it is greeted with `verb`: the answer, or none for ever.
#[derive(Clone, Copy)]
struct Twist {
    verb: &'static str,
    answer: Option<&'static str>,
}

async fn speak(stream: TcpStream, twist: Twist) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut data = false;
    say(&mut write, "GREETING", "220 test", twist).await?;
    while let Ok(Some(line)) = lines.next_line().await {
        if data && line != "." {
            continue;
        }
        let verb =
            if data { "END".to_owned() } else { line.chars().take(4).collect::<String>().to_uppercase() };
        data = verb == "DATA";
        let usual = if data { "354 go on" } else { "250 fine" };
        say(&mut write, &verb, usual, twist).await?;
    }
    Some(())
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), verb: &str, usual: &str, twist: Twist) -> Option<()> {
    let answer = if verb == twist.verb { twist.answer } else { Some(usual) };
    let Some(answer) = answer else { return std::future::pending().await };
    // An empty answer closes the connection.
    (!answer.is_empty()).then_some(())?;
    write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()
}

async fn reply_of(verb: &'static str, answer: Option<&'static str>, limit: Duration) -> Reply {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Its end is the end of the conversation.
            let _over = speak(stream, Twist { verb, answer }).await;
        }
    });
    Sender::new(&email(port), &outbound()).unwrap().with_timeout(limit).send(&notification(), noon()).await
}

fn email(port: u16) -> Receiver {
    let email = Email {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        login: None,
        from: "keywatch@example.org".to_owned(),
        to: vec!["soc@example.org".to_owned()],
    };
    Receiver::new("mail", ReceiverKind::Email(email))
}

#[tokio::test]
async fn what_a_mail_server_answers_decides_what_follows() {
    for (verb, answer, verdict, status) in [
        ("NONE", "", Verdict::Delivered, Some(250)),
        ("GREETING", "421 busy", Verdict::TryAgain, Some(421)),
        ("MAIL", "451 later", Verdict::TryAgain, Some(451)),
        ("RCPT", "450 greylisted", Verdict::TryAgain, Some(450)),
        ("RCPT", "550 no such user", Verdict::GiveUp, Some(550)),
        ("MAIL", "530 log in first", Verdict::TryAgain, Some(530)),
        ("END", "552 too large", Verdict::GiveUp, Some(552)),
        ("END", "452 disk full", Verdict::TryAgain, Some(452)),
        ("GREETING", "554 no service", Verdict::GiveUp, Some(554)),
        ("RCPT", "535 who are you", Verdict::TryAgain, Some(535)),
        // Broken off at any point, amid an answer too, or answered in another language.
        ("GREETING", "", Verdict::TryAgain, None),
        ("EHLO", "", Verdict::TryAgain, None),
        ("MAIL", "", Verdict::TryAgain, None),
        ("RCPT", "", Verdict::TryAgain, None),
        ("DATA", "", Verdict::TryAgain, None),
        ("END", "", Verdict::TryAgain, None),
        ("GREETING", "HTTP/1.1 200 OK", Verdict::TryAgain, None),
        ("END", "taken, thank you", Verdict::TryAgain, None),
    ] {
        let reply = reply_of(verb, Some(answer), DEADLINE).await;
        assert_eq!((reply.verdict, reply.status), (verdict, status), "{verb} {answer}: {reply:?}");
        assert_eq!(reply.credentials_refused, matches!(status, Some(530 | 535)), "{verb} {answer}");
    }
}

#[tokio::test]
async fn a_mail_server_that_hangs_costs_no_more_than_the_time_limit() {
    for verb in ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"] {
        let reply = reply_of(verb, None, Duration::from_millis(300)).await;
        assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{verb}: {reply:?}");
    }
}

#[tokio::test]
async fn a_mail_server_that_cannot_be_reached_is_a_failure_that_is_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let reply = Sender::new(&email(port), &outbound()).unwrap().send(&notification(), noon()).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{reply:?}");
    assert!(reply.error.unwrap().contains("127.0.0.1"));
}

#[tokio::test]
async fn a_mail_server_that_drips_or_resets_is_tried_again_in_time() {
    for (how, limit) in [(Break::DripHead, Duration::from_millis(400)), (Break::Reset, DEADLINE)] {
        let broken = Broken::start_unasked(how).await;
        let sender = Sender::new(&email(broken.address.port()), &outbound()).unwrap().with_timeout(limit);
        let reply = sender.send(&notification(), noon()).await;
        assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{how:?}: {reply:?}");
    }
}

/// A name server that is down.
struct Down;

impl Lookup for Down {
    fn lookup(&self, _host: String) -> Resolved {
        Box::pin(async { Err(std::io::Error::other("the name server is down")) })
    }
}

#[tokio::test]
async fn a_mail_server_whose_name_does_not_resolve_is_tried_again() {
    let mut receiver = email(587);
    if let ReceiverKind::Email(email) = &mut receiver.kind {
        "mail.example".clone_into(&mut email.host);
        email.tls = MailTls::StartTls;
    }
    let egress = Egress::with_lookup(EgressPolicy::default(), Arc::new(Down));
    let outbound = Outbound { egress, ..outbound() };
    let reply = Sender::new(&receiver, &outbound).unwrap().send(&notification(), noon()).await;
    assert_eq!((reply.verdict, reply.status), (Verdict::TryAgain, None), "{reply:?}");
    assert!(reply.error.as_ref().unwrap().contains("could not resolve"), "{reply:?}");
}
