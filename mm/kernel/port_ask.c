// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU's tables say: the steps of port_fault.c that run under mmap_lock.
 *
 * hmm looks and never faults: a page that is wanted and missing is brought by
 * port_bring.c, and then looked for again. Most passes look once at the whole span: the
 * page, its neighbours and all else that is there come from one walk. A second look
 * takes only the part in which pages were brought. Where one CPU mapping may cover the
 * block, the page is looked at alone first, since such a mapping is the whole answer.
 *
 * hmm looks at ->mm and ->invalidate_seq of the notifier that it is given; ours is a
 * copy that no callback changes, so its loop ends by its own progress alone. All that
 * one pass sees is of one sequence, which the core compares before it writes leaves.
 */
#include <linux/memremap.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "port_memory.h"
#include "port_pass.h"
#include "port_ram.h"

/* hmm's words are the core's, where a page's DMA address is its physical one. */
static_assert(sizeof(unsigned long) == sizeof(u64));
static_assert(PAGE_SHIFT == PORT_PAGE_LG2);
static_assert(HMM_PFN_VALID == PORT_PAGE_VALID && HMM_PFN_WRITE == PORT_PAGE_WRITE);

#define BRING_TURNS	3	/* a page that goes so often is for another pass */
#define FEW_PAGES	64	/* to be judged */
#define GROUP_PAGES	16	/* may come by one fault of the CPU: fault-around, large folios */

/* hmm's words for [@start, @end), as the CPU's tables stand. 0, -EBUSY or -EFAULT. */
static int look(struct pass *p, u64 start, u64 end, unsigned long *pfns)
{
	struct hmm_range range = {
		.notifier = &p->shadow,
		.notifier_seq = p->shadow.invalidate_seq,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.dev_private_owner = p->d->memory,
	};
	int err;

	/*
	 * hmm of newer kernels carries some bits of a word from input to output
	 * (HMM_PFN_INOUT_FLAGS). No word of ours has them: it begins as 0, and then holds
	 * what hmm, judge() or the mapping for DMA wrote.
	 */
	err = hmm_range_fault(&range);
	return err && err != -EBUSY ? -EFAULT : err;
}

static unsigned long *word(struct pass *p, u64 cpu)
{
	return (unsigned long *)&p->f->page[svm_pass_index(p->f, cpu)];
}

/* Of a page of ZONE_DEVICE: is it persistent memory, or the like? */
static noinline bool is_plain_memory(const struct page *page)
{
	return !is_device_private_page(page) && !is_device_coherent_page(page) &&
	       !is_pci_p2pdma_page(page);
}

/*
 * May the page be reached by DMA through dma_map_page()? Device memory has its own ways. Asked
 * under mmap_lock, which keeps the mapping that the page was found in.
 */
static bool is_host_memory(const struct page *page)
{
	/* The zone shares a word with flags that others set meanwhile; it is constant itself. */
	return likely(!data_race(is_zone_device_page(page))) || data_race(is_plain_memory(page));
}

/*
 * Is the page in our device's memory? hmm says nothing of a page in another one's. Its zone is
 * constant, see is_host_memory().
 */
static bool is_lent(const struct page *page)
{
	/* Others set flags in the same word. */
	return data_race(is_device_private_page(page));
}

/* May a leaf lead to it? */
static bool is_reached(const struct page *page)
{
	return is_host_memory(page) || is_lent(page);
}

/* Makes the words of [@from, @to) say that there is no page. */
static void leave_out(struct pass *p, u64 from, u64 to)
{
	if (from < to)
		memset(word(p, from), 0, (to - from) >> PAGE_SHIFT << 3);
}

/* Off limits in other mappings of the span: left out. */
static void drop_off_limits(struct pass *p, u64 start, u64 end)
{
	struct vm_area_struct *vma;

	if (p->vma && p->vma->vm_start <= start && end <= p->vma->vm_end)
		return;
	for (vma = find_vma(p->d->mm, start); vma && vma->vm_start < end;
	     vma = find_vma(p->d->mm, vma->vm_end))
		if (svm_is_off_limits(vma))
			leave_out(p, max_t(u64, start, vma->vm_start),
				  min_t(u64, end, vma->vm_end));
}

/**
 * struct judging - words that are looked at one after the other
 * @p: pass
 * @ram: memory that may be mapped without a look at its pages
 * @left_out: pages that are not to be mapped
 */
struct judging {
	struct pass *p;
	struct svm_ram ram;
	unsigned long left_out;
};

/* A page of ZONE_DEVICE: of our device's memory its number there is the word. */
static void judge_device(struct judging *j, unsigned long *word)
{
	const unsigned long pfn = *word;
	struct page *page = hmm_pfn_to_page(pfn);

	if (!is_lent(page)) {
		*word = HMM_PFN_ERROR;
		j->left_out++;
		return;
	}
	*word = svm_memory_index(j->p->d->memory, page) | PORT_PAGE_VRAM |
		(pfn & (HMM_PFN_VALID | HMM_PFN_WRITE));
	j->p->f->lent++;
}

static noinline void judge_one(struct judging *j, unsigned long *word, bool few)
{
	const unsigned long pfn = *word;

	if (!svm_pfn_allows(pfn, j->p->f->write))
		j->p->missing += !(pfn & HMM_PFN_ERROR);
	if (!svm_pfn_allows(pfn, false)) {
		j->left_out++;
	} else if ((few || !svm_ram_look(&j->ram, pfn & ~HMM_PFN_FLAGS)) &&
		   !is_host_memory(hmm_pfn_to_page(pfn))) {
		judge_device(j, word);
	}
}

/* @n words of which the table may have some: those whose bit is set in @had. */
static void judge_rest(struct judging *j, unsigned long *word, unsigned long n, u64 had)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		if (had >> i & 1) {
			word[i] = 0;
			j->left_out++;
		} else {
			judge_one(j, word + i, true);
		}
	}
}

/*
 * @n words, none of which the table has. Where they are @few, a look at each page is cheaper
 * than one at the sections that they are in.
 */
static __always_inline void judge_all(struct judging *j, unsigned long *word, unsigned long n,
				      bool few)
{
	const unsigned long need = HMM_PFN_VALID | (j->p->f->write ? HMM_PFN_WRITE : 0);
	const unsigned long *end = word + n;
	struct svm_ram ram = j->ram;

	while (word < end) {
		const unsigned long *stop = end;

		if (!few && end - word >= SVM_RAM_SOME) {
			stop = word + SVM_RAM_SOME;
			if (likely(svm_ram_alike(&ram, (u64 *)word, need, need | HMM_PFN_ERROR))) {
				word += SVM_RAM_SOME;
				continue;
			}
		}
		for (; word < stop; word++) {
			unsigned long pfn = *word;

			if (likely((pfn & (need | HMM_PFN_ERROR)) == need &&
				   (few ? is_host_memory(hmm_pfn_to_page(pfn)) :
					  svm_ram_holds(&ram, pfn & ~HMM_PFN_FLAGS))))
				continue;
			judge_one(j, word, few);
			ram = j->ram;
		}
	}
}

/*
 * Leaves HMM_PFN_VALID in the words of pages that are to be mapped, and counts them;
 * also those that miss, as is_missing() has it. The loop is a large part of a fault's
 * cost in memory of 4 KiB pages.
 */
static void judge(struct pass *p, u64 start, u64 end)
{
	struct port_fault *f = p->f;
	unsigned long i = svm_pass_index(f, start), n = svm_pass_index(f, end);
	struct judging j = { .p = p };
	bool few = n - i <= FEW_PAGES;

	f->mapped += n - i;
	while (i < n) {
		unsigned long *word = (unsigned long *)f->page + i;
		unsigned long stop = min(n, (i | 63) + 1);
		u64 had = f->have[i / 64] >> i % 64;

		/* The usual cases have loops of their own. */
		if (had)
			judge_rest(&j, word, stop - i, had);
		else if (few)
			judge_all(&j, word, stop - i, true);
		else
			judge_all(&j, word, stop - i, false);
		i = stop;
	}
	f->mapped -= j.left_out;
}

/* hmm's words for a part of the span, judged. */
static int look_span(struct pass *p, u64 start, u64 end)
{
	int err = look(p, start, end, word(p, start));

	if (err)
		return err;
	drop_off_limits(p, start, end);
	judge(p, start, end);
	return 0;
}

/* The same for a part that was looked at before. */
static int look_again(struct pass *p, u64 start, u64 end)
{
	u64 at;

	for (at = start; at < end; at += PAGE_SIZE) {
		p->f->mapped -= svm_pfn_allows(*word(p, at), false);
		p->f->lent -= !!(*word(p, at) & PORT_PAGE_VRAM);
	}
	return look_span(p, start, end);
}

/*
 * Brings the page of the fault after hmm, or judge(), said @pfn of it. 0: it is there already; 1:
 * look again.
 */
static int bring_page(struct pass *p, unsigned long pfn)
{
	const struct port_fault *f = p->f;
	int err;

	if (pfn & HMM_PFN_ERROR)
		return -EFAULT;
	if (svm_pfn_allows(pfn, f->write))
		return (pfn & PORT_PAGE_VRAM) || is_reached(hmm_pfn_to_page(pfn)) ? 0 : -EFAULT;
	if (fatal_signal_pending(current))
		return -EINTR;
	if (svm_must_wait(p->vma, f->cpu))
		return -EINPROGRESS;
	err = svm_bring(p->vma, f->cpu, f->write);
	return err ?: 1;
}

/* The same where nothing is to be brought: never 1. */
static int leave_page(unsigned long pfn)
{
	return svm_pfn_allows(pfn, false) && is_reached(hmm_pfn_to_page(pfn)) ? 0 : -EFAULT;
}

/* Sets p->vma. A fault: 0 or why there is no page to be had; a prefetch: 0. */
static int find_mapping(struct pass *p)
{
	const struct port_fault *f = p->f;
	int err;

	p->vma = svm_vma_at(p->d->mm, f->cpu);
	err = p->vma ? svm_vma_permits(p->vma, f->write) : -EFAULT;
	if (!err && p->vma->vm_start > f->cpu)
		err = -EINPROGRESS;
	if (!err || f->must)
		return err;
	p->vma = NULL;
	return 0;
}

/* Does the mapping of f->cpu hold the whole block? */
static bool block_fits(const struct pass *p)
{
	const struct port_fault *f = p->f;
	u64 size = 1ull << f->block_lg2, start = ALIGN_DOWN(f->cpu, size);

	return p->vma && f->block_lg2 > PAGE_SHIFT &&
	       start >= max_t(u64, f->block_start, p->vma->vm_start) &&
	       start + size <= min_t(u64, f->block_end, p->vma->vm_end);
}

/* Step 1: the mapping of the page; where it holds the block, also p->pfn, of the page alone. */
int svm_ask_page(struct pass *p)
{
	const struct port_fault *f = p->f;
	unsigned int turn;
	int err;

	err = find_mapping(p);
	if (err || !block_fits(p))
		return err;
	/* The table has the page by a small leaf, so no block is there. */
	if (svm_pass_has(f, svm_pass_index(f, f->cpu)))
		return 0;
	for (turn = 0; turn <= BRING_TURNS; turn++) {
		err = look(p, f->cpu, f->cpu + PAGE_SIZE, &p->pfn);
		if (!err)
			err = f->must || f->bring ? bring_page(p, p->pfn) : leave_page(p->pfn);
		if (err <= 0)
			goto out;
	}
	err = -EBUSY;
out:
	if (err)
		p->pfn = 0;
	/* What a prefetch cannot have of one page it may have of the others. */
	if (!f->must && (err == -EFAULT || err == -EINPROGRESS))
		return 0;
	return err;
}

/* The hull of what was brought, to be looked at again. */
struct hull {
	u64 start, end;
};

static void add(struct hull *h, u64 cpu)
{
	h->start = min_t(u64, h->start, cpu);
	h->end = max_t(u64, h->end, cpu + PAGE_SIZE);
}

/* Is the page missing, as far as hmm's word for it says? */
static bool is_missing(struct pass *p, u64 cpu)
{
	unsigned long pfn = *word(p, cpu);

	return !(pfn & HMM_PFN_ERROR) && !svm_pfn_allows(pfn, p->f->write) &&
	       !svm_pass_has(p->f, svm_pass_index(p->f, cpu));
}

/*
 * Brings the wanted pages of @vma that are missing and need no wait. What cannot be had
 * is left out: it is nobody's fault. A userfaultfd's manager is asked only for what the
 * device touched. 0: go on; 1: reading in has begun, or a prefetch has to wait for f->wait
 * first: bring nothing else; -EINTR, -EBUSY, -ENOMEM (of a prefetch).
 */
static int bring_mapping(struct pass *p, struct vm_area_struct *vma, struct hull *h)
{
	struct port_fault *f = p->f;
	u64 at = max_t(u64, f->want_start, vma->vm_start);
	u64 end = min_t(u64, f->want_end, svm_vma_reach(vma));
	bool groups = true;
	int err;

	if (userfaultfd_armed(vma))
		return 0;
	for (; at < end; at += PAGE_SIZE) {
		/* The page of a fault was seen to before. */
		if (!is_missing(p, at) || (f->must && at == f->cpu))
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = svm_must_wait(vma, at) ? -EAGAIN :
					       svm_bring(vma, at, f->write);
		if (!f->must && (err == -EAGAIN || err == -EINPROGRESS)) {
			f->wait = at;
			return 1;
		}
		if (err == -EINPROGRESS)
			return 1;
		if (err == -ENOMEM && !f->must)
			return err;
		if (err)
			continue;
		add(h, at);
		/* One fault may have brought several pages: they need none. */
		if (!groups || at + PAGE_SIZE >= end || !is_missing(p, at + PAGE_SIZE))
			continue;
		err = look_again(p, at + PAGE_SIZE,
				 min_t(u64, end, at + GROUP_PAGES * PAGE_SIZE));
		if (err)
			return err;
		groups = !is_missing(p, at + PAGE_SIZE);
	}
	return 0;
}

/* Of a fault in the mapping of its page, of a prefetch in all that allow the access. */
static int bring_wanted(struct pass *p, struct hull *h)
{
	struct port_fault *f = p->f;
	struct vm_area_struct *vma;
	int err = 0;

	if (f->must) {
		err = bring_mapping(p, p->vma, h);
		return err < 0 ? err : 0;
	}
	vma = find_vma(p->d->mm, f->want_start);
	while (vma && vma->vm_start < f->want_end && !err) {
		if (!svm_vma_permits(vma, f->write))
			err = bring_mapping(p, vma, h);
		vma = find_vma(p->d->mm, vma->vm_end);
	}
	return err < 0 ? err : 0;
}

/* The span without what the table has at both ends of it: is anything left? */
static bool trim(const struct port_fault *f, u64 *start, u64 *end)
{
	*start = f->start;
	*end = f->end;
	while (*start < *end && svm_pass_has(f, svm_pass_index(f, *start)))
		*start += PAGE_SIZE;
	while (*start < *end && svm_pass_has(f, svm_pass_index(f, *end) - 1))
		*end -= PAGE_SIZE;
	return *start < *end;
}

/* Step 2: hmm's pfns for the span, the wanted pages among them where they can be had. */
int svm_ask_span(struct pass *p)
{
	struct port_fault *f = p->f;
	unsigned int turn;
	struct hull h;
	u64 start, end;
	int err;

	if (!trim(f, &start, &end))
		start = end;
	leave_out(p, f->start, start);
	leave_out(p, end, f->end);
	for (turn = 0; turn <= BRING_TURNS && start < end; turn++) {
		h = (struct hull){ .start = f->end, .end = f->start };
		err = turn ? look_again(p, start, end) : look_span(p, start, end);
		if (!err && f->must) {
			err = bring_page(p, *word(p, f->cpu));
			if (err > 0)
				add(&h, f->cpu);
		}
		/* Once: a neighbour that has gone again is for another pass. */
		if (err >= 0 && !turn && p->missing && (f->must || f->bring))
			err = bring_wanted(p, &h);
		if (err < 0)
			return err;
		start = h.start;
		end = h.end;
	}
	return start < end ? -EBUSY : 0;
}

/*
 * Both steps for a page that the CPU is to have no access to, unless it is in the device's memory.
 * What had to be brought is for another pass: see port_alone.c.
 */
int svm_ask_alone(struct pass *p)
{
	struct port_fault *f = p->f;
	int err = find_mapping(p);
	unsigned long pfn;

	if (!err)
		err = look_span(p, f->start, f->end);
	if (err)
		return err;
	pfn = *word(p, f->cpu);
	err = bring_page(p, pfn);
	if (err)
		return err > 0 ? -EBUSY : err;
	if (pfn & PORT_PAGE_VRAM)
		return 0;
	return svm_take_alone(p, pfn);
}
