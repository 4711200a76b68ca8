// SPDX-License-Identifier: GPL-2.0-only
// The treap behind span_map: see there.
#include "mm/bind/span_map.hpp"

#include "mm/base/assert.hpp"
#include "mm/base/owner.hpp"

namespace svm {

struct span_map::node : deferred {
	piece p;
	node *left = nullptr;
	node *right = nullptr;
	node *listed = nullptr; // of the change that made it, and of the one that replaces it; readers do not look
	u64 version = 0;	// the change that made it
	bool discarded = false; // by that same change

	node() : deferred(deferred_kind::span) {}
};

// The finalizer of splitmix64.
u64 span_map::rank(u64 start) const
{
	u64 x = start ^ secret;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

// As deep as the treap.
span_map::piece span_map::view::next(u64 va) const
{
	piece best;

	for (const node *n = top; n;) {
		if (n->p.span.end > va) {
			best = n->p;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

void span_map::free_deferred(deferred &d)
{
	destroy(static_cast<node *>(&d));
}

// As deep as the treap.
void span_map::free_all(node *n)
{
	if (!n)
		return;
	free_all(n->left);
	free_all(n->right);
	destroy(n);
}

void span_map::change::free_list(node *n)
{
	while (n) { // ends with the list
		node *next = n->listed;

		destroy(n);
		n = next;
	}
}

span_map::change::~change()
{
	free_list(spare);
	free_list(made); // empty after publish()
}

// How many nodes a split at va passes.
unsigned span_map::change::depth(u64 va) const
{
	unsigned n = 0;

	for (const node *at = top; at; at = at->p.span.start < va ? at->right : at->left)
		n++;
	return n;
}

bool span_map::change::reserve(unsigned n)
{
	unsigned have = 0;

	for (const node *at = spare; at && have < n; at = at->listed)
		have++;
	for (; have < n; have++) {
		owner<node> more = make<node>();

		if (!more)
			return false;
		more->listed = spare;
		spare = more.release();
	}
	return true;
}

span_map::node *span_map::change::take_spare(const piece &p)
{
	node *n = spare;

	SVM_ASSERT(n); // replace() has reserved enough
	spare = n->listed;
	n->p = p;
	n->version = version;
	n->listed = made;
	made = n;
	return n;
}

// The node itself if this change made it, else a copy in its place.
span_map::node *span_map::change::own(node *n)
{
	if (n->version == version)
		return n;
	node *copy = take_spare(n->p);
	copy->left = n->left;
	copy->right = n->right;
	n->listed = replaced;
	replaced = n;
	return copy;
}

// No piece lies across va. The spines that face the cut are nodes of this change afterwards.
void span_map::change::split(node *n, u64 va, node *&below, node *&above)
{
	node **low = &below, **high = &above;

	while (n) { // as deep as the treap
		n = own(n);
		if (n->p.span.start < va) {
			*low = n;
			low = &n->right;
			n = *low;
		} else {
			*high = n;
			high = &n->left;
			n = *high;
		}
	}
	*low = *high = nullptr;
}

// All of `below` lies below all of `above`, and the spines that face each other are of this change: see split().
span_map::node *span_map::change::merge(node *below, node *above)
{
	node *all = nullptr, **at = &all;

	while (below && above) { // as deep as both
		if (map.rank(below->p.span.start) > map.rank(above->p.span.start)) {
			*at = below;
			at = &below->right;
			below = *at;
		} else {
			*at = above;
			at = &above->left;
			above = *at;
		}
	}
	*at = below ? below : above;
	return all;
}

// As deep as the treap.
void span_map::change::discard(node *n)
{
	if (!n)
		return;
	discard(n->left);
	discard(n->right);
	if (n->version == version) {
		n->discarded = true;
	} else {
		n->listed = replaced;
		replaced = n;
	}
}

// The span with the neighbours that lead to the same.
va_span span_map::change::with_neighbours(va_span span, void *of) const
{
	piece below = span.start ? next(span.start - 1) : piece{}, above = next(span.end);

	if (below.of == of && below.span.end >= span.start && below.span.start < span.start)
		span.start = below.span.start;
	if (above.of == of && above.span.start <= span.end)
		span.end = above.span.end;
	return span;
}

status span_map::change::replace(va_span span, void *of)
{
	if (of)
		span = with_neighbours(span, of);
	piece first = next(span.start), last = next(span.end - 1);
	// What stays of the pieces that the span cuts.
	piece before{ { first.span.start, span.start }, first.of }, after{ { span.end, last.span.end }, last.of };
	bool cut_first = first && first.span.start < span.start;
	bool cut_last = last && last.span.start < span.end && last.span.end > span.end;
	u64 low = cut_first ? first.span.start : span.start, high = cut_last ? last.span.end : span.end;
	node *below, *gone, *rest, *above;

	if (!reserve(depth(low) + depth(high) + 3))
		return err::nomem;
	split(top, low, below, rest);
	split(rest, high, gone, above);
	discard(gone);
	if (cut_first)
		below = merge(below, take_spare(before));
	if (of)
		below = merge(below, take_spare({ span, of }));
	if (cut_last)
		below = merge(below, take_spare(after));
	top = merge(below, above);
	return {};
}

void span_map::change::drop_old(port_domain *domain)
{
	for (node *next; replaced; replaced = next) {
		next = replaced->listed;
		defer(domain, *replaced);
	}
}

void span_map::change::publish()
{
	map.root.store_release(top); // with the acquire in now()
	for (node *next; made; made = next) {
		next = made->listed;
		made->listed = nullptr;
		if (made->discarded)
			destroy(made);
	}
}

} // namespace svm
