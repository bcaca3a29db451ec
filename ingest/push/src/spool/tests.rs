use super::segment::{self, MAGIC};
use super::{Kind, Lost, Parcel, Refusal, Spool, Storage};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn storage(folder: &Path, bytes_max: u64) -> Storage {
    Storage { folder: folder.to_owned(), bytes_max }
}

fn open(folder: &Path, position: Option<&str>) -> (Spool, Vec<String>) {
    Spool::open("s", &storage(folder, 64 << 20), position.map(str::to_owned)).unwrap()
}

fn record(number: u64) -> Vec<u8> {
    format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat((number * 31 % 97) as usize)).into_bytes()
}

fn parcel(numbers: std::ops::Range<u64>) -> Parcel {
    let mut parcel = Parcel::default();
    numbers.for_each(|number| parcel.push(Kind::Record, &record(number)));
    parcel
}

/// Reads until `end`; the records, and the last position.
async fn read(spool: &mut Spool, end: u64) -> (Vec<Vec<u8>>, String) {
    let (mut found, mut to) = (Vec::new(), String::new());
    loop {
        let next = tokio::time::timeout(PATIENCE, spool.next()).await.expect("in time").expect("goes on");
        found.extend(next.0.records.iter().map(|one| next.0.raw(one).to_vec()));
        to.clone_from(&next.0.advances[0].to);
        if next.1 >= end {
            return (found, to);
        }
    }
}

fn records(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(record).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let all =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<String> = all.filter(|name| name.contains(".seg")).collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_was_written_is_read_in_order_and_again_until_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, damage) = open(folder.path(), None);
    assert_eq!(damage, Vec::<String>::new());
    let door = spool.door();
    for start in (0..3000).step_by(100) {
        door.write(parcel(start..start + 100)).await.unwrap();
    }
    assert_eq!(read(&mut spool, 3000).await, (records(0..3000), "3000".to_owned()));
    drop(spool);
    let (mut spool, _) = open(folder.path(), Some("1234"));
    assert_eq!(read(&mut spool, 3000).await.0, records(1234..3000));
    spool.door().write(parcel(3000..3001)).await.unwrap();
    assert_eq!(read(&mut spool, 3001).await, (records(3000..3001), "3001".to_owned()));
}

#[tokio::test]
async fn a_position_is_told_as_a_step_from_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), None);
    spool.door().write(parcel(0..2)).await.unwrap();
    let (batch, end) = spool.next().await.unwrap();
    assert_eq!((batch.advances[0].from.as_deref(), batch.advances[0].to.as_str(), end), (None, "2", 2));
    spool.door().write(parcel(2..3)).await.unwrap();
    let (batch, _) = spool.next().await.unwrap();
    assert_eq!((batch.advances[0].from.as_deref(), batch.advances[0].to.as_str()), (Some("2"), "3"));
    assert_eq!(batch.advances[0].source, "spool:s");
    assert_eq!(batch.records[0].place.to_string(), "s:3");
}

#[tokio::test]
async fn files_go_once_all_of_them_is_committed_and_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open("s", &storage(folder.path(), 1 << 20), None).unwrap();
    let (door, mut next) = (spool.door(), 0);
    let refused = loop {
        match door.write(parcel(next..next + 100)).await {
            Ok(()) => next += 100,
            Err(why) => break why,
        }
    };
    assert_eq!(refused, Refusal::Full(1 << 20));
    assert_eq!(door.trouble(), Some(refused));
    assert!(files(folder.path()).len() > 10, "{:?}", files(folder.path()));
    assert_eq!(read(&mut spool, next).await.0, records(0..next));
    spool.committed(next);
    tokio::time::timeout(PATIENCE, async {
        while files(folder.path()).len() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(door.trouble(), None);
    door.write(parcel(next..next + 100)).await.unwrap();
    assert_eq!(read(&mut spool, next + 100).await.0, records(next..next + 100));
}

#[tokio::test]
async fn a_write_that_fills_the_spool_leaves_room_once_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open("s", &storage(folder.path(), 1 << 20), None).unwrap();
    let door = spool.door();
    let is_much = |count: &u64| parcel(0..*count).len() > (1 << 20) * 9 / 10;
    let count = (1..1_000).map(|hundreds| hundreds * 100).find(is_much).unwrap();
    door.write(parcel(0..count)).await.unwrap();
    assert!(matches!(door.write(parcel(count..2 * count)).await, Err(Refusal::Full(_))));
    read(&mut spool, count).await;
    spool.committed(count);
    tokio::time::timeout(PATIENCE, async {
        while door.write(parcel(count..2 * count)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(read(&mut spool, 2 * count).await.0, records(count..2 * count));
}

#[tokio::test]
async fn what_nobody_can_be_told_of_is_counted_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open("s", &storage(folder.path(), 10_000), None).unwrap();
    let door = spool.door();
    door.write(parcel(0..100)).await.unwrap();
    assert_eq!(door.take_lost(), []);
    door.post(parcel(100..200));
    door.post(parcel(200..201 + 99));
    door.lose(3, Refusal::Kernel);
    let lost = |count, why| Lost { count, why };
    assert_eq!(door.take_lost(), [lost(200, Refusal::Full(10_000)), lost(3, Refusal::Kernel)]);
    assert_eq!(door.take_lost(), []);
}

/// A cut anywhere in the last write takes the records behind it, none before it.
#[tokio::test]
async fn a_write_that_was_cut_off_takes_nothing_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = parcel(0..20);
    let mut content = MAGIC.to_vec();
    content.extend_from_slice(whole.bytes());
    let mut ends = vec![MAGIC.len()];
    for number in 0..20 {
        ends.push(ends.last().unwrap() + parcel(number..number + 1).bytes().len());
    }
    for cut in (0..content.len()).step_by(7).chain([content.len()]) {
        let here = folder.path().join(cut.to_string());
        std::fs::create_dir(&here).unwrap();
        std::fs::write(segment::path(&here, 0), &content[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1) as u64;
        let (mut spool, damage) = open(&here, None);
        assert_eq!(damage, Vec::<String>::new(), "cut at {cut}");
        spool.door().write(parcel(kept..kept + 2)).await.unwrap();
        assert_eq!(read(&mut spool, kept + 2).await.0, records(0..kept + 2), "cut at {cut}");
        drop(spool);
        let (mut spool, _) = open(&here, None);
        assert_eq!(read(&mut spool, kept + 2).await.0, records(0..kept + 2), "cut at {cut}, again");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_told_with_how_many_records_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open("s", &storage(folder.path(), 1 << 20), None).unwrap();
    for start in (0..2000).step_by(100) {
        spool.door().write(parcel(start..start + 100)).await.unwrap();
    }
    drop(spool);
    let first = segment::path(folder.path(), 0);
    let mut content = std::fs::read(&first).unwrap();
    let at = MAGIC.len() + parcel(0..10).bytes().len() + 20;
    content[at] ^= 4;
    std::fs::write(&first, content).unwrap();
    let second: u64 = files(folder.path())[1].trim_end_matches(".seg").parse().unwrap();
    let (mut spool, damage) = open(folder.path(), None);
    assert_eq!(damage.len(), 1);
    assert!(damage[0].contains(&format!("{} record(s) from number 10 on", second - 10)), "{damage:?}");
    let mut wanted = records(0..10);
    wanted.extend(records(second..2000));
    assert_eq!(read(&mut spool, 2000).await.0, wanted);
}

#[tokio::test]
async fn a_spool_that_was_emptied_by_hand_goes_on_behind_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), Some("500"));
    spool.door().write(parcel(0..1)).await.unwrap();
    let (batch, end) = spool.next().await.unwrap();
    assert_eq!((batch.advances[0].from.as_deref(), end), (Some("500"), 501));
}

#[tokio::test]
async fn only_one_process_has_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), None);
    let error = Spool::open("s", &storage(folder.path(), 1 << 20), None).err().unwrap();
    assert!(error.to_string().contains("another process has it open"), "{error}");
    drop(spool);
    open(folder.path(), None);
}

#[tokio::test]
async fn a_disk_that_does_not_take_it_refuses_and_works_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), None);
    let door = spool.door();
    // The file that the first write would make cannot be made.
    let blocked = segment::path(folder.path(), 0);
    std::fs::create_dir(&blocked).unwrap();
    assert!(matches!(door.write(parcel(0..1)).await, Err(Refusal::Disk(_))));
    door.post(parcel(0..3));
    tokio::time::timeout(PATIENCE, async {
        while door.take_lost().iter().all(|lost| lost.count != 3) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    std::fs::remove_dir(&blocked).unwrap();
    door.write(parcel(0..2)).await.unwrap();
    assert_eq!(door.trouble(), None);
    assert_eq!(read(&mut spool, 2).await.0, records(0..2));
}

#[tokio::test]
async fn foreign_bytes_in_the_folder_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "hello").unwrap();
    let mut stray =
        OpenOptions::new().create(true).append(true).open(segment::path(folder.path(), 7)).unwrap();
    stray.write_all(b"not a spool").unwrap();
    let (mut spool, _) = open(folder.path(), None);
    spool.door().write(parcel(0..1)).await.unwrap();
    assert_eq!(spool.next().await.unwrap().0.records.len(), 1);
    assert!(folder.path().join("notes.txt").exists());
}

/// The only file of a spool of five records, with the byte at `at` changed, and its content.
async fn damaged(folder: &Path, at: usize) -> (PathBuf, Vec<u8>) {
    let (spool, _) = open(folder, None);
    spool.door().write(parcel(0..5)).await.unwrap();
    drop(spool);
    let path = segment::path(folder, 0);
    let mut content = std::fs::read(&path).unwrap();
    content[at] ^= 1;
    std::fs::write(&path, &content).unwrap();
    (path, content)
}

#[tokio::test]
async fn a_file_of_another_format_is_set_aside_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content) = damaged(folder.path(), MAGIC.len() - 1).await;
    let (mut spool, damage) = open(folder.path(), None);
    spool.door().write(parcel(7..8)).await.unwrap();
    assert_eq!(read(&mut spool, 1).await.0, records(7..8));
    let aside = path.with_extension("foreign");
    assert!(damage[0].contains(&aside.display().to_string()), "{damage:?}");
    assert_eq!(std::fs::read(aside).unwrap(), content);
}

#[tokio::test]
async fn what_is_damaged_from_its_first_record_on_is_kept_beside_what_is_written_then() {
    let folder = tempfile::tempdir().unwrap();
    let (path, content) = damaged(folder.path(), MAGIC.len() + 20).await;
    let (mut spool, _) = open(folder.path(), None);
    spool.door().write(parcel(7..8)).await.unwrap();
    assert_eq!(read(&mut spool, 1).await.0, records(7..8));
    assert_eq!(std::fs::read(path.with_extension("torn")).unwrap(), content);
}
