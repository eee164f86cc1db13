use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::Hash;
use super::crc;
use super::jenkins;
use super::md5;

/// The lengths of the keys in [`PROGRAM`].
const LENGTHS: [usize; 19] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31, 64,
];

/// hash; "apple", "clé-ü", ff 80 01 (twemproxy's definitions); then what the functions inside
/// Debian's nutcracker 0.5.0 returned, called under a debugger, for the first [`LENGTHS`] bytes
/// of [`pattern`].
#[rustfmt::skip]
const PROGRAM: [(Hash, [u32; 3], [u32; 19]); 12] = [
    (Hash::OneAtATime, [2297466611, 1070886189, 565816914], [
        153639484, 3353528819, 1880395635, 2882672137, 492659259, 2094116742, 3000289532,
        3238515992, 78688803, 2583378999, 1267394340, 3992227171, 1284069432, 2914705373,
        2431264020, 3086929100, 1652611491, 3795064368, 2279391671,
    ]),
    (Hash::Md5, [3195025439, 3285407998, 4143271320], [
        520365517, 331051913, 2736386946, 3533653452, 3606405562, 1919697838, 3508156447,
        2249074040, 2984008452, 254426563, 1987178442, 1676934778, 1783580091, 2575522428,
        3918903907, 2604746695, 971995011, 3266526059, 1371752352,
    ]),
    (Hash::Crc16, [3662830516, 3432061647, 512935130], [
        33193, 8519045, 2180895637, 4258496769, 3548496445, 2176996119, 3260274316,
        1406596791, 3606453274, 4129091903, 485564226, 4045353703, 523376367, 840356115,
        382806323, 3509187117, 703740161, 3883467812, 3681774273,
    ]),
    (Hash::Crc32, [10542, 21575, 3421], [
        18621, 23796, 27485, 15591, 17983, 32376, 8315,
        29726, 30, 28800, 21324, 2447, 21301, 31104,
        6527, 18468, 20006, 467, 12853,
    ]),
    (Hash::Crc32a, [2838417488, 3561434170, 224216354], [
        1220369467, 1559543080, 3948783858, 1021825801, 3326039057, 2121804185, 2692476961,
        1948173082, 2149454712, 4034979623, 1397520807, 2307853801, 1396012621, 2038491042,
        2575285037, 1210327936, 3458640588, 2178108584, 842363314,
    ]),
    (Hash::Fnv1_64, [473199127, 1071466600, 1813151649], [
        2046707806, 3035301916, 2493593695, 1913468573, 3430141138, 1757743340, 114174299,
        1873787429, 946254710, 696061516, 2155918551, 1521699149, 514166250, 324019452,
        785459123, 1922665093, 1159307310, 2166176515, 1428111013,
    ]),
    (Hash::Fnv1a64, [1488911807, 2723674958, 1912656593], [
        2046683820, 3045703678, 2263816719, 3082211405, 732169608, 666217846, 2041920683,
        822716637, 2895551004, 3155690454, 1664185055, 2365982757, 2705309896, 4283719902,
        597673019, 2005221781, 3901836684, 78818779, 2299738469,
    ]),
    (Hash::Fnv1_32, [67176023, 1204520232, 817040737], [
        4210270878, 1417085212, 3970515167, 2458837245, 3018600018, 2395794220, 4170593819,
        2424886021, 1939591030, 2344118540, 11706903, 808790573, 280061162, 826399804,
        961695219, 3496954405, 3150858222, 937233091, 1105939653,
    ]),
    (Hash::Fnv1a32, [280767167, 2198705582, 3000832017], [
        66302220, 1902106014, 3676480463, 1199060781, 3124686120, 1125069654, 2582468395,
        1583319933, 1134029244, 165369206, 12087135, 1767320773, 3426470504, 2350845374,
        2753384379, 3168482357, 2532112364, 401389339, 2114952837,
    ]),
    (Hash::Hsieh, [3738850110, 2886362009, 642505427], [
        1565270635, 1510808996, 971300875, 1695454048, 2113542543, 4191768694, 1369039975,
        2301740111, 3202571021, 2201126851, 1762487102, 3878679133, 3697687138, 667865258,
        4141047508, 2525524785, 2312251411, 2900143570, 4149870888,
    ]),
    (Hash::Murmur, [4142305122, 1673221945, 3541589279], [
        1563830356, 3008891429, 640193511, 4135849425, 1897417712, 1685234765, 4024500355,
        3402970413, 4178988671, 619640283, 3330207303, 2902540118, 913432481, 2886799182,
        888460596, 721136, 228988090, 95053001, 2061217245,
    ]),
    (Hash::Jenkins, [1442444624, 2337122230, 3801980525], [
        2073760255, 1928572860, 1138077789, 1081726463, 3408045847, 3709456232, 530356742,
        2218550573, 429425383, 3088802408, 3859426040, 340996752, 419713961, 801621910,
        271337741, 92342426, 398060477, 1183776324, 1418511339,
    ]),
];

/// 64 bytes, about half of them from 0x80 up, in every place of a word.
fn pattern() -> Vec<u8> {
    (0..64_u32)
        .map(|i| (i * 37 + 129).to_le_bytes()[0])
        .collect()
}

#[test]
fn every_hash_gives_twemproxy_s_known_answers() {
    let keys: [&[u8]; 3] = [b"apple", "clé-ü".as_bytes(), b"\xff\x80\x01"];
    for (hash, answers, _) in PROGRAM {
        assert_eq!(keys.map(|key| hash.hash(key)), answers, "{}", hash.name());
    }
}

#[test]
fn every_hash_gives_the_program_s_answers_for_every_tail_and_sign() {
    let bytes = pattern();
    for (hash, _, answers) in PROGRAM {
        let hashed = LENGTHS.map(|length| hash.hash(&bytes[..length]));
        assert_eq!(hashed, answers, "{}", hash.name());
    }
}

#[test]
fn an_empty_key_is_zero_in_every_hash() {
    for &hash in Hash::ALL {
        assert_eq!(hash.hash(b""), 0, "{}", hash.name());
    }
    // It is the pool's rule, not the functions'.
    assert_ne!(jenkins::jenkins(b""), 0);
    assert_ne!(md5::md5(b""), 0);
}

#[test]
fn a_name_leads_back_to_its_hash() {
    assert_eq!(Hash::ALL.len(), 12);
    for &hash in Hash::ALL {
        assert_eq!(Hash::from_name(hash.name()), Some(hash));
    }
    assert_eq!(Hash::from_name("fnv2"), None);
    assert_eq!(Hash::from_name("MD5"), None);
    assert_eq!(Hash::from_name(""), None);
}

/// The reflected CRC-32, bit by bit.
fn crc32_by_bits(key: &[u8]) -> u32 {
    let crc = key.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    });
    !crc
}

/// twemproxy's FNV-1 in full 64 bits.
fn fnv1_64_wide(key: &[u8]) -> u32 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        let signed = i64::from(i8::from_ne_bytes([byte]));
        hash.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from_ne_bytes(signed.to_ne_bytes())
    });
    u32::try_from(hash & u64::from(u32::MAX)).unwrap()
}

proptest! {
    #[test]
    fn crc32a_is_the_crc_of_the_definition_at_any_length(
        key in prop::collection::vec(any::<u8>(), 0..600)
    ) {
        prop_assert_eq!(crc::crc32a(&key), crc32_by_bits(&key));
        prop_assert_eq!(crc::crc32(&key), (crc32_by_bits(&key) >> 16) & 0x7fff);
    }

    #[test]
    fn fnv1_64_in_32_bits_is_the_low_half_of_64(
        key in prop::collection::vec(any::<u8>(), 1..300)
    ) {
        prop_assert_eq!(Hash::Fnv1_64.hash(&key), fnv1_64_wide(&key));
    }

    #[test]
    fn a_hash_depends_on_the_bytes_not_on_where_they_lie(
        key in prop::collection::vec(any::<u8>(), 0..100),
        offset in 0_usize..8,
    ) {
        let mut moved = vec![0; offset];
        moved.extend_from_slice(&key);
        for &hash in Hash::ALL {
            prop_assert_eq!(hash.hash(&moved[offset..]), hash.hash(&key));
        }
    }
}
