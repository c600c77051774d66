//! The services of old, discard (RFC 863) and chargen (RFC 864), and burn, as their clients see them.

use crate::harness::{Served, pattern, scenarios};
use doorbell::Model;
use doorbell_service::{Burn, Chargen, Discard, burn_head};

scenarios![
    discard_takes_all_and_says_nothing,
    chargen_says_the_lines_of_the_rfc,
    burn_answers_the_cheap_and_the_costly
];

fn discard_takes_all_and_says_nothing(model: Model) {
    let server = Served::new(model, Discard);
    let mut client = server.connect();
    for round in 0..16 {
        client.say(&pattern(1 << 20, round));
    }
    client.hears_nothing();
    client.finish();
    assert_eq!(client.hear_all(), b"");
    server.until("it is gone", |figures| figures.open == 0);
    assert_eq!(server.end().failed, 0);
}

fn chargen_says_the_lines_of_the_rfc(model: Model) {
    const FIRST: [&str; 3] = [
        " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n",
        "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n",
        "\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghi\r\n",
    ];
    const LINE: usize = 74;
    let server = Served::new(model, Chargen);
    let mut client = server.connect();
    for line in FIRST {
        assert_eq!(String::from_utf8_lossy(&client.hear(LINE)), line);
    }
    // From here on each line is the one before, turned by one, through many times what the server may hold.
    let mut before = FIRST[2].as_bytes().to_vec();
    for number in 4..=20_000 {
        let line = client.hear(LINE);
        let next = if before[LINE - 3] == b'~' { b' ' } else { before[LINE - 3] + 1 };
        let expected = [&before[1..LINE - 2], &[next], b"\r\n".as_slice()].concat();
        assert!(line == expected, "line {number}: {}", String::from_utf8_lossy(&line));
        before = line;
    }
    // What the client says means nothing, until it has finished.
    client.say(b"thank you");
    assert_eq!(client.hear(LINE).len(), LINE);
    client.finish();
    assert!(client.hear_all().len() > LINE);
    server.until("it is gone", |figures| figures.open == 0);
    server.end();
}

fn burn_answers_the_cheap_and_the_costly(model: Model) {
    // Some tenths of a millisecond each.
    const COSTLY: u32 = 100_000;
    let server = Served::new(model, Burn);
    let mut clients = [server.connect(), server.connect()];
    for number in 0..8 {
        let body = pattern(1000 * number + 1, number);
        for (client, rounds) in clients.iter_mut().zip([COSTLY, 0]) {
            let request = [&burn_head(body.len() as u32, rounds)[..], &body].concat();
            client.say(&request);
            assert_eq!(client.hear(request.len()), request, "request {number} of {rounds} rounds");
        }
    }
    for mut client in clients {
        client.finish();
        assert_eq!(client.hear_all(), b"");
    }
    server.until("they are gone", |figures| figures.open == 0);
    assert_eq!(server.end().failed, 0);
}
