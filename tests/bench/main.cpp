// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures rows for contenders and prints raw counts as JSON: of each turn, what the process's own calls and the
 * device's faults took. What is made of them is in tools/vm/lib/bench.py.
 *
 * Each row of a contender runs in a process of its own, so that nothing of another one is left in its memory.
 */
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.hpp"
#include "region.hpp"
#include "rows.hpp"

namespace bench {

namespace {

struct choice {
	std::string row;       // or "all"
	std::string contender; // how its name begins
	bool trace;	       // the host writes down the first turn that counts
};

// In the child: the counts of each turn, into the pipe.
[[noreturn]] void measure(const row &r, const contender &who, int out, bool trace)
{
	const device gpu(who);

	for (unsigned turn = 0; turn < r.warm_ups; turn++)
		r.turn(gpu);
	for (unsigned turn = 0; turn < r.turns; turn++) {
		trace_as(trace && !turn ? r.id + std::string(".") + who.name : "");
		const cost c = r.turn(gpu);
		must(write(out, &c, sizeof(c)), "write");
	}
	_exit(0);
}

// The turns as JSON; empty if the child failed, which has said why.
std::string run(const row &r, const contender &who, bool trace)
{
	int ends[2], status = 0;
	std::string text;
	unsigned turns = 0;

	must(pipe(ends), "pipe");
	std::fflush(stdout);
	const pid_t child = fork();
	must(child, "fork");
	if (!child) {
		close(ends[0]);
		measure(r, who, ends[1], trace);
	}
	close(ends[1]);
	for (cost c; read(ends[0], &c, sizeof(c)) == sizeof(c); turns++)
		text += (turns ? ", [" : "[") + std::to_string(c.process) + ", " + std::to_string(c.device) + "]";
	close(ends[0]);
	must(waitpid(child, &status, 0), "waitpid");
	return status || turns != r.turns ? "" : "[" + text + "]";
}

// One row: its counts by contender. False if one of them failed.
bool print(std::FILE *out, const row &r, const choice &wanted, bool first)
{
	const char *separator = "";
	bool good = true;

	std::printf("%s: %s\n", r.id, r.title);
	std::fprintf(out,
		     "%s{\"id\": \"%s\", \"title\": \"%s\", \"unit\": \"%s\", \"units\": %llu, \"added\": %s,\n  \"turns\": {",
		     first ? "" : ",\n ", r.id, r.title, r.unit, static_cast<unsigned long long>(r.units), r.added ? "true" : "false");
	for (const contender &who : contenders()) {
		if (std::string(who.name).rfind(wanted.contender, 0) != 0 || !is_built(who))
			continue;
		const std::string turns = run(r, who, wanted.trace);
		if (turns.empty()) {
			std::printf("svm_bench: row %s of %s failed\n", r.id, who.name);
			good = false;
			continue;
		}
		std::fprintf(out, "%s\"%s\": %s", separator, who.name, turns.c_str());
		separator = ",\n   ";
	}
	std::fprintf(out, "}}");
	return good;
}

int usage()
{
	std::printf("usage: svm_bench OUTPUT.json [ROW|all [CONTENDER [trace]]]\n");
	return 2;
}

int run_all(const char *path, const choice &wanted)
{
	std::FILE *out = std::fopen(path, "we");
	bool good = true, first = true;

	must(out ? 0 : -1, path);
	std::fprintf(out, "{\"rows\": [");
	for (const row &r : rows()) {
		if (wanted.row != "all" && wanted.row != r.id)
			continue;
		good &= print(out, r, wanted, first);
		first = false;
	}
	std::fprintf(out, "]}\n");
	std::fclose(out);
	if (first)
		std::printf("svm_bench: there is no row '%s'\n", wanted.row.c_str());
	return good && !first ? 0 : 1;
}

} // namespace

} // namespace bench

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 5 || (argc == 5 && std::strcmp(argv[4], "trace") != 0))
		return bench::usage();
	return bench::run_all(argv[1], {argc > 2 ? argv[2] : "all", argc > 3 ? argv[3] : "", argc > 4});
}
