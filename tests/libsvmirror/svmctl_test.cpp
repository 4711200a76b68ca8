// SPDX-License-Identifier: GPL-2.0-only
/*
 * svmctl as a program: what it refuses, with which exit status and words, and what it prints. It runs on a device that is not
 * there (fake_svgpu.cpp). Status 2: the command line is wrong; 1: what was asked for could not be done.
 */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

using nlohmann::json;

namespace
{

struct outcome {
	int status = -1;
	std::string out, err;
};

using arguments = std::vector<std::string>;

std::string contents(std::FILE *file)
{
	std::string text;
	char some[4096];

	std::rewind(file);
	while (size_t n = std::fread(some, 1, sizeof(some), file))
		text.append(some, n);
	std::fclose(file);
	return text;
}

outcome run(arguments args, const char *nodes = "one", const char *stdout_path = nullptr)
{
	std::FILE *out = std::tmpfile(), *err = std::tmpfile();
	outcome o;
	std::vector<char *> argv;

	args.insert(args.begin(), "svmctl");
	for (std::string &arg : args)
		argv.push_back(arg.data());
	argv.push_back(nullptr);

	pid_t child = fork();

	if (child == 0) {
		setenv("SVMCTL_NODES", nodes, 1);
		dup2(stdout_path ? open(stdout_path, O_WRONLY) : fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execv(SVMCTL_PROGRAM, argv.data());
		_exit(127);
	}

	int status = 0;

	waitpid(child, &status, 0);
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	o.out = contents(out);
	o.err = contents(err);
	return o;
}

struct bad {
	arguments args;
	std::string says; /* in the message */
};

class svmctl_bad_test : public ::testing::TestWithParam<bad>
{
};

} // namespace

TEST_P(svmctl_bad_test, is_refused)
{
	const bad &b = GetParam();
	outcome o = run(b.args);

	EXPECT_EQ(o.status, 2);
	EXPECT_EQ(o.out, "");
	EXPECT_TRUE(o.err.starts_with("svmctl: ")) << o.err;
	EXPECT_NE(o.err.find(b.says), std::string::npos) << o.err;

	/* The same as a document. */
	arguments with_json = b.args;

	with_json.insert(with_json.begin(), "--json");
	o = run(with_json);
	EXPECT_EQ(o.status, 2);
	EXPECT_EQ(o.err, "");

	json report = json::parse(o.out, nullptr, false);

	ASSERT_TRUE(report.is_object()) << o.out;
	EXPECT_EQ(report["ok"], false);
	EXPECT_NE(report["error"]["message"].get<std::string>().find(b.says), std::string::npos) << o.out;
}

INSTANTIATE_TEST_SUITE_P(
	arguments, svmctl_bad_test,
	::testing::Values(
		bad{{}, "subcommand"}, bad{{"fly"}, "there is no command 'fly'"}, bad{{"--fly"}, "there is no option '--fly'"},
		bad{{"info", "more"}, "more"}, bad{{"info", "--size", "64"}, "--size"}, bad{{"--device"}, "--device"},
		bad{{"run"}, "kernel"}, bad{{"run", "fly"}, "fly"}, bad{{"run", "copy", "copy"}, "copy"},
		bad{{"run", "copy", "--size", "63"}, "--size"}, bad{{"run", "copy", "--size", "5GiB"}, "--size"},
		bad{{"run", "copy", "--size", "much"}, "--size"}, bad{{"run", "copy", "--size", "-1"}, "--size"},
		bad{{"run", "copy", "--size"}, "--size"}, bad{{"run", "copy", "--passes", "0"}, "--passes"},
		bad{{"run", "copy", "--passes", "1001"}, "--passes"}, bad{{"run", "copy", "--passes", "x"}, "--passes"},
		bad{{"run", "copy", "--queues", "0"}, "--queues"}, bad{{"run", "copy", "--queues", "65"}, "--queues"},
		bad{{"run", "copy", "--granule", "11"}, "--granule"}, bad{{"run", "copy", "--granule", "22"}, "--granule"},
		bad{{"run", "copy", "--input", "/nowhere"}, "/nowhere"}, bad{{"run", "copy", "--write"}, "--write"},
		bad{{"stat", "fly"}, "fly"}, bad{{"stat", "--passes", "2"}, "2 not in"}, bad{{"demo"}, "--input"},
		bad{{"demo", "--input", "/nowhere"}, "/nowhere"}, bad{{"faults", "--write"}, "--at"},
		bad{{"faults", "--at", "here"}, "here is not an address"}, bad{{"faults", "--at=-1"}, "-1 is not an address"},
		bad{{"faults", "--at", "0x1g"}, "0x1g is not an address"},
		bad{{"faults", "--at", "0x10000000000000000"}, "is not an address"}),
	[](const auto &info) {
		std::string name = std::to_string(info.index);

		for (const std::string &arg : info.param.args)
			for (char c : "_" + arg)
				name += std::isalnum(c) ? c : '_';
		return name;
	});

TEST(svmctl_test, help)
{
	outcome o = run({"--help"});

	EXPECT_EQ(o.status, 0);
	for (const char *command : {"info", "demo", "stat", "run", "faults"})
		EXPECT_NE(o.out.find(command), std::string::npos) << command;
	EXPECT_EQ(run({"run", "--help"}).status, 0);
}

TEST(svmctl_test, info)
{
	outcome o = run({"info", "--json"});
	json report = json::parse(o.out, nullptr, false);

	EXPECT_EQ(o.status, 0);
	EXPECT_EQ(o.err, "");
	ASSERT_TRUE(report.is_object()) << o.out;
	EXPECT_EQ(report["ok"], true);
	EXPECT_EQ(report["format"], "xe2");
	EXPECT_EQ(report["va_bits"], 48);
	EXPECT_EQ(report["table_bytes"], 2 << 20);
	EXPECT_EQ(report["leaf_bytes"], (json::array_t{4096, 65536, 2 << 20}));
	EXPECT_EQ(report["bindings"], (json::array_t{"mirror", "object"}));
	EXPECT_EQ(report["moves_by"], (json::array_t{"prefetch", "advice"}));
	EXPECT_EQ(report["engines"], 4);
	EXPECT_EQ(report["vram_bytes"], 64 << 20);
	EXPECT_EQ(report["tables_in"], "vram");
	EXPECT_EQ(report["wedged"], false);
	EXPECT_EQ(json::parse(run({"info", "--json"}, "wedged").out)["wedged"], true);

	o = run({"info"});
	EXPECT_EQ(o.status, 0);
	EXPECT_NE(o.out.find("xe2\n"), std::string::npos) << o.out;
	EXPECT_NE(o.out.find("contexts"), std::string::npos) << o.out;
	EXPECT_EQ(run({"--device", "/dev/dri/renderD128", "info"}).status, 0);
}

TEST(svmctl_test, no_device)
{
	outcome o = run({"info"}, "none");

	EXPECT_EQ(o.status, 1);
	EXPECT_EQ(o.out, "");
	EXPECT_NE(o.err.find("svmctl: no render node of driver svgpu"), std::string::npos) << o.err;
	o = run({"info", "--json"}, "none");
	EXPECT_EQ(o.status, 1);
	EXPECT_EQ(json::parse(o.out)["error"]["errno"], "ENODEV");
	o = run({"--json", "--device", "/dev/dri/renderD7", "info"});
	EXPECT_EQ(o.status, 1);
	EXPECT_EQ(json::parse(o.out)["error"]["errno"], "ENOENT");
}

/* The kernel refuses: its errno comes through each command that needs a vm. */
TEST(svmctl_test, the_driver_refuses)
{
	for (const arguments &args : {arguments{"run", "copy", "--size", "64"}, arguments{"stat"}, arguments{"faults"},
				      arguments{"faults", "--at", "0", "--write"}}) {
		arguments with_json = args;

		with_json.push_back("--json");

		outcome o = run(with_json);

		EXPECT_EQ(o.status, 1) << args[0];
		EXPECT_EQ(json::parse(o.out)["error"]["errno"], "ENOSPC") << args[0];
		o = run(args);
		EXPECT_EQ(o.status, 1) << args[0];
		EXPECT_NE(o.err.find("create vm"), std::string::npos) << o.err;
	}
}

/* Each job of the demo says for itself what became of it, and the whole is not ok. */
TEST(svmctl_test, the_driver_refuses_the_demo)
{
	char path[] = "/tmp/svmctl_testXXXXXX";
	int fd = mkstemp(path);
	outcome o = run({"demo", "--input", "/proc/self/exe", "--json", "--json-out", path});
	json report = json::parse(o.out, nullptr, false);

	EXPECT_EQ(o.status, 1);
	ASSERT_TRUE(report.is_object()) << o.out;
	EXPECT_EQ(report["ok"], false);
	EXPECT_EQ(report["jobs"].size(), 6u);
	for (const json &job : report["jobs"]) {
		EXPECT_EQ(job["ok"], false);
		EXPECT_NE(job["checked"].get<std::string>().find("create vm"), std::string::npos);
	}
	EXPECT_EQ(json::parse(contents(fdopen(fd, "r")), nullptr, false), report);
	unlink(path);
	o = run({"demo", "--input", "/proc/self/exe", "--json-out", "/nowhere/report"});
	EXPECT_EQ(o.status, 1);
	EXPECT_NE(o.err.find("cannot write /nowhere/report"), std::string::npos) << o.err;
}

/* What cannot be written was not done. */
TEST(svmctl_test, stdout_is_full)
{
	outcome o = run({"info"}, "one", "/dev/full");

	EXPECT_EQ(o.status, 1);
	EXPECT_NE(o.err.find("cannot write to stdout"), std::string::npos) << o.err;
	EXPECT_EQ(run({"info", "--json"}, "one", "/dev/full").status, 1);
}
