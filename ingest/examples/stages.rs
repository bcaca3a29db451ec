use keywatch_event::EventTime;
use keywatch_event::json::{Extractor, Fields};
use keywatch_ingest::provider::Normalizer;
struct Instant(u64);
impl Instant {
    fn now() -> Self {
        Self(cpu())
    }
    fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(cpu() - self.0)
    }
}
fn cpu() -> u64 {
    std::fs::read_to_string("/proc/self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let file = std::env::args().nth(1).unwrap();
    let rounds: usize = std::env::args().nth(2).map_or(3, |n| n.parse().unwrap());
    let bytes = std::fs::read(file).unwrap();
    let bytes = &bytes[..bytes.len().min(160 << 20)];
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|l| l.ends_with(b"}")).collect();
    let n = lines.len() as f64;
    let received = EventTime::from_secs(1_800_000_000);
    let few = Extractor::new([
        "eventTime",
        "eventSource",
        "eventName",
        "userIdentity.arn",
        "userIdentity.type",
        "requestParameters.secretId",
        "eventID",
    ]);
    for _ in 0..rounds {
        let t = Instant::now();
        let mut x = 0;
        for l in &lines {
            x += std::str::from_utf8(l).unwrap().len();
        }
        let utf = t.elapsed();
        let t = Instant::now();
        let mut fields = Fields::default();
        for l in &lines {
            few.read(l, &mut fields).unwrap();
            x += fields.raw(2).map_or(0, str::len);
        }
        let ext = t.elapsed();
        let t = Instant::now();
        let normalizer = Normalizer::new();
        let mut v = Vec::new();
        for chunk in lines.chunks(400) {
            v.clear();
            let mut stream = normalizer.stream();
            for l in chunk {
                v.push(stream.normalize(l, received).unwrap().unwrap());
            }
            x += v.len();
        }
        let norm = t.elapsed();
        println!(
            "{x} utf8 {:.0} extract {:.0} normalize {:.0} ns",
            utf.as_nanos() as f64 / n,
            ext.as_nanos() as f64 / n,
            norm.as_nanos() as f64 / n
        );
    }
}
