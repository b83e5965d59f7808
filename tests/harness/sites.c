/* SPDX-License-Identifier: MIT */
/* sites.c: the places from which the library calls the OS, known by the return addresses that lead there.
 *
 * Frame pointers lead from one return address to the next as long as they are this program's own, which is compiled
 * with them. */
#include "sites.h"
#include <stddef.h>

extern const char __executable_start[];
extern const char etext[];
#define FRAME_MAX ((uintptr_t)1 << 16)

static uintptr_t own_offset(uintptr_t address)
{
    uintptr_t low = (uintptr_t)__executable_start;
    return address >= low && address < (uintptr_t)etext ? address - low : 0;
}

uint64_t test_site_read(test_site *site, const uintptr_t *frame)
{
    uint64_t key = (uint64_t)site->call * 2 + site->worker + 1;
    for (int i = 0; i < TEST_TRAIL; i++) {
        site->trail[i] = frame ? own_offset(frame[1]) : 0;
        key = (key ^ site->trail[i]) * UINT64_C(0x9e3779b97f4a7c15);
        key ^= key >> 29;
        const uintptr_t *next = site->trail[i] ? (const uintptr_t *)frame[0] : NULL;
        frame = (uintptr_t)next > (uintptr_t)frame && (uintptr_t)next - (uintptr_t)frame < FRAME_MAX ? next : NULL;
    }
    atomic_store(&site->key, key | 1);
    return key | 1;
}

void test_site_note(test_site *sites, const test_site *site)
{
    uint64_t key = atomic_load(&site->key);
    for (size_t i = 0, at = key % TEST_SITES_MAX; i < TEST_SITES_MAX; i++, at = (at + 1) % TEST_SITES_MAX) {
        test_site *noted = &sites[at];
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&noted->key, &none, key)) {
            noted->call = site->call;
            noted->worker = site->worker;
            for (int k = 0; k < TEST_TRAIL; k++)
                noted->trail[k] = site->trail[k];
        } else if (none != key) {
            continue;
        }
        atomic_fetch_add(&noted->calls, 1);
        return;
    }
}
