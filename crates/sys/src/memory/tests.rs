//! What memories and mappings promise to the crates above.

use super::*;
use crate::fork::check_in_child;

fn byte(mapping: &Mapping, offset: usize) -> u8 {
    assert!(offset < mapping.len());
    // SAFETY: within the mapping, which nobody unmaps meanwhile.
    unsafe { mapping.as_ptr().add(offset).read_volatile() }
}

fn set(mapping: &Mapping, offset: usize, value: u8) {
    assert!(offset < mapping.len());
    // SAFETY: within the mapping, which is writable and which no other thread uses.
    unsafe { mapping.as_ptr().add(offset).write_volatile(value) };
}

#[test]
fn a_write_of_one_process_is_seen_by_another() {
    let mapping =
        Memory::new("test", 100).and_then(|memory| memory.map(Access::Shared)).expect("a page is free");
    assert!(check_in_child(60, || {
        set(&mapping, 99, 7);
        true
    }));
    assert_eq!(byte(&mapping, 99), 7);
}

#[test]
fn a_private_mapping_keeps_its_writes_until_it_discards_them() {
    let memory = Memory::new("test", 3 * page_size()).expect("a descriptor is free");
    let shared = memory.map(Access::Shared).expect("mapped");
    let private = memory.map(Access::Private).expect("mapped");
    set(&private, 0, 1);
    set(&shared, 0, 2);
    set(&shared, page_size(), 3);
    assert_eq!((byte(&private, 0), byte(&private, page_size())), (1, 3));
    private.advise(0, page_size(), Advice::DontNeed).expect("taken");
    assert_eq!(byte(&private, 0), 2);
}

#[test]
fn large_mappings_are_aligned_to_huge_pages() {
    for len in [HUGE_PAGE, HUGE_PAGE + 1, 5 * HUGE_PAGE - 1, 1 << 36] {
        let memory = Memory::new("test", len).expect("a descriptor is free");
        for access in [Access::Shared, Access::Private, Access::ReadOnly] {
            let mapping = memory.map(access).expect("address space is plentiful");
            assert!(mapping.as_ptr().addr().is_multiple_of(HUGE_PAGE));
            assert_eq!(byte(&mapping, len - 1), 0);
        }
    }
}

#[test]
fn mappings_leave_no_address_space_behind() {
    let mapped = || {
        std::fs::read_to_string("/proc/self/maps")
            .expect("there is a /proc")
            .matches("memfd:leak-check")
            .count()
    };
    let memory = Memory::new("leak-check", HUGE_PAGE + 1).expect("a descriptor is free");
    let mapping = memory.map(Access::Private).expect("mapped");
    assert_eq!(mapped(), 1);
    drop(mapping);
    assert_eq!(mapped(), 0);
}

#[test]
fn a_memory_cannot_be_resized() {
    let memory = Memory::new("test", 2 * page_size()).expect("a descriptor is free");
    for len in [0, 1 << 20] {
        // SAFETY: the descriptor is open; the rest is a number.
        let status = unsafe { libc::ftruncate(memory.fd().as_raw_fd(), len) };
        assert_eq!((status, Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
    }
}

#[test]
fn what_can_be_resized_is_refused() {
    // SAFETY: the name is a C string; the descriptor that comes back is ours.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_ALLOW_SEALING)) };
    assert_eq!(Memory::from_fd(fd).expect_err("it has no seals").kind(), ErrorKind::InvalidInput);
    let file = std::fs::File::open("/proc/self/exe").expect("there is a /proc");
    assert_eq!(Memory::from_fd(file.into()).expect_err("it is no memory").kind(), ErrorKind::InvalidInput);
}

#[test]
fn another_holder_finds_size_and_bytes() {
    let memory = Memory::new("test", 12_345).expect("a descriptor is free");
    set(&memory.map(Access::Shared).expect("mapped"), 12_344, 9);
    let other = Memory::from_fd(memory.fd().try_clone_to_owned().expect("duplicated")).expect("it is sealed");
    assert_eq!(other.len(), 12_345);
    assert_eq!(byte(&other.map(Access::ReadOnly).expect("mapped"), 12_344), 9);
}

#[test]
fn after_the_seal_only_old_mappings_write() {
    let memory = Memory::new("test", page_size()).expect("a descriptor is free");
    let shared = memory.map(Access::Shared).expect("mapped");
    memory.seal_writing().expect("the kernel is new enough");
    assert_eq!(memory.map(Access::Shared).expect_err("sealed").kind(), ErrorKind::PermissionDenied);
    set(&shared, 0, 4);
    assert_eq!(byte(&memory.map(Access::Private).expect("mapped"), 0), 4);
}

#[test]
fn a_reader_neither_writes_nor_punches_nor_seals() {
    let memory = Memory::new("test", page_size()).expect("a descriptor is free");
    let reader =
        Memory::from_fd(memory.reader().expect("there is a /proc")).expect("the seals are the memory's");
    assert_eq!(reader.map(Access::Shared).expect_err("for reading only").kind(), ErrorKind::PermissionDenied);
    assert!(reader.punch(0, page_size()).is_err());
    assert!(reader.seal_writing().is_err());
    let private = reader.map(Access::Private).expect("that is for readers");
    set(&memory.map(Access::Shared).expect("mapped"), 0, 5);
    assert_eq!(byte(&private, 0), 5);
}

#[test]
fn punched_pages_are_zero_and_cost_nothing() {
    let memory = Memory::new("test", 4 * page_size()).expect("a descriptor is free");
    let shared = memory.map(Access::Shared).expect("mapped");
    for page in 0..4 {
        set(&shared, page * page_size(), 6);
    }
    memory.punch(page_size(), 2 * page_size()).expect("the range is right");
    assert_eq!([0, 1, 2, 3].map(|page| byte(&shared, page * page_size())), [6, 0, 0, 6]);
    assert!(memory.punch(page_size(), 4 * page_size()).is_err());
    assert!(memory.punch(usize::MAX, 2).is_err());
}

#[test]
fn advice_beyond_the_end_is_refused() {
    let mapping = Memory::new("test", 100).and_then(|memory| memory.map(Access::Private)).expect("mapped");
    for (offset, len) in [(0, 101), (0, 0), (101, 1), (usize::MAX, 2), (1, 1)] {
        assert!(mapping.advise(offset, len, Advice::DontNeed).is_err(), "{offset} {len}");
    }
    mapping.advise(0, 100, Advice::WillNeed).expect("all of it");
}

#[test]
fn a_child_does_not_unmap_what_it_never_had() {
    let memory = Memory::new("test", page_size()).expect("a descriptor is free");
    let mapping = memory.map(Access::Shared).expect("mapped");
    mapping.advise(0, page_size(), Advice::DontFork).expect("taken");
    let address = mapping.as_ptr();
    let mut mapping = Some(mapping);
    assert!(check_in_child(60, || {
        // SAFETY: the child did not get the mapping, so nothing stands at the address; without MAP_FIXED nothing is replaced.
        let other = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            libc::mmap(address.cast(), page_size(), libc::PROT_READ, flags, -1, 0)
        };
        drop(mapping.take());
        // SAFETY: what was just mapped is still there, or this is a segmentation fault, and the test fails.
        std::ptr::eq(other.cast(), address) && unsafe { address.read_volatile() } == 0
    }));
}

/// A memory of eight pages and five huge pages, its shared mapping full of ones, and a private mapping.
fn shared_and_private() -> (Mapping, Mapping) {
    let memory = Memory::new("test", 5 * HUGE_PAGE + 8 * page_size()).expect("a descriptor is free");
    let shared = memory.map(Access::Shared).expect("mapped");
    // SAFETY: all of the mapping, which is writable and which nobody else uses.
    unsafe { shared.as_ptr().write_bytes(1, shared.len()) };
    // Some huge pages and some small ones, where the system has any.
    let _ = shared.advise(HUGE_PAGE, 3 * HUGE_PAGE, Advice::Collapse);
    (shared, memory.map(Access::Private).expect("mapped"))
}

#[test]
fn whatever_was_copied_is_discarded() {
    let (shared, private) = shared_and_private();
    let page = page_size();
    let pages = shared.len() / page;
    let every = |step: usize| (0..pages).step_by(step).map(|index| index * page).collect::<Vec<_>>();
    let runs = (0..pages).filter(|index| index % 100 < 50).map(|index| index * page).collect();
    let written =
        [vec![], vec![5 * page], vec![3 * HUGE_PAGE - page], every(1), every(2), every(512), every(3), runs];
    for (round, written) in (2..).zip(written) {
        for offset in every(1) {
            byte(&private, offset);
        }
        for offset in written {
            set(&private, offset, 99);
        }
        private.discard_copies(0, private.len()).expect("taken");
        for offset in every(1) {
            set(&shared, offset, round);
            assert_eq!(byte(&private, offset), round, "{offset:x}");
        }
    }
}

#[test]
fn neighbours_keep_their_copies() {
    let (shared, private) = shared_and_private();
    let page = page_size();
    let (first, last) = (HUGE_PAGE + 3 * page, 3 * HUGE_PAGE + 7 * page);
    for offset in (0..shared.len()).step_by(page) {
        set(&private, offset, 2);
    }
    // Not even the rest of a huge page.
    private.discard_copies(first, last - first - page / 2).expect("taken");
    for offset in (0..shared.len()).step_by(page) {
        let expected = if (first..last).contains(&offset) { 1 } else { 2 };
        assert_eq!(byte(&private, offset), expected, "{offset:x}");
    }
}

#[test]
fn a_child_discards_its_own_copies() {
    let (_shared, private) = shared_and_private();
    set(&private, 0, 2);
    private.discard_copies(page_size(), page_size()).expect("taken");
    assert!(check_in_child(60, || {
        set(&private, page_size(), 3);
        // Asked of the parent's pages, the second would have no copy.
        private.discard_copies(page_size(), page_size()).expect("taken");
        byte(&private, 0) == 2 && byte(&private, page_size()) == 1
    }));
    assert_eq!(byte(&private, 0), 2);
}

#[test]
fn a_part_is_mapped_where_it_stands() {
    let memory = Memory::new("test", 2 * HUGE_PAGE + 100).expect("a descriptor is free");
    let shared = memory.map(Access::Shared).expect("mapped");
    set(&shared, page_size() + 9, 1);
    set(&shared, 2 * HUGE_PAGE + 99, 2);
    assert_eq!(byte(&memory.map_part(page_size(), 10, Access::Private).expect("mapped"), 9), 1);
    assert_eq!(byte(&memory.map_part(2 * HUGE_PAGE, 100, Access::ReadOnly).expect("mapped"), 99), 2);
    for (offset, len) in [(0, 0), (2 * HUGE_PAGE, 101), (usize::MAX, 2), (1, 1)] {
        assert!(memory.map_part(offset, len, Access::Private).is_err(), "{offset} {len}");
    }
}
