#include "app/manual/manual.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace weft::app {
namespace {

// A program with all that can be declared.
class Pages : public testing::Test {
protected:
    Pages() {
        app_.footer("Example: tool -n 1\n.not a request");
        app_.add_option("-n,--number", number_, "How many; a-b, back\\slash, it's [so]: yes")
            ->check(CLI::Range(1, 9))
            ->capture_default_str();
        app_.add_flag("--loud", is_loud_, "Be loud");
        app_.add_option("--secret", number_, "Not shown")->group("");
        CLI::App* work = app_.add_subcommand("work", "Does it");
        work->add_option("file", file_, "What to work on");
        work->add_flag("-f,--fast", is_loud_, "Fast,faster");
        work->add_subcommand("again", "Once more")->add_flag("--deep", is_loud_, "Deep");
        add_page_option(app_, program_);
    }
    CLI::App app_{"A tool", "tool"};
    Program program_{.name = "tool", .section = 1, .version = "1.2", .see_also = "\\fBother\\fR(8)", .bash_more = ""};
    int number_ = 3;
    bool is_loud_ = false;
    std::string file_;
};

TEST_F(Pages, AreListed) {
    EXPECT_EQ(page_names(app_), (std::vector<std::string>{"man", "man-work", "bash", "zsh"}));
    for (const std::string& name : page_names(app_)) EXPECT_FALSE(page(app_, program_, name).empty()) << name;
    EXPECT_EQ(page(app_, program_, "man-play"), "");
}

TEST_F(Pages, ManualSaysWhatHelpSays) {
    const std::string text = man_page(app_, program_);
    EXPECT_TRUE(text.starts_with(".TH TOOL 1 \"\" \"Weft 1.2\" \"Weft\"\n.SH NAME\ntool \\- A tool\n")) << text;
    EXPECT_NE(text.find("\\fB\\-n\\fR, \\fB\\-\\-number\\fR \\fIINT\\fR\n"
                        "How many; a\\-b, back\\eslash, it's [so]: yes [INT in [1 \\- 9]] (default 3)\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("\n\\fBwork\\fR\nDoes it; see tool\\-work(1)\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(text.find("page"), std::string::npos);
    EXPECT_NE(text.find("\n\\&.not a request\n"), std::string::npos) << text;  // a line cannot become a command of roff
}

TEST_F(Pages, ManualOfASubcommandIsItsOwn) {
    const std::string text = page(app_, program_, "man-work");
    EXPECT_NE(text.find("tool\\-work \\- Does it\n"), std::string::npos) << text;
    EXPECT_NE(text.find("[\\fIfile\\fR]"), std::string::npos) << text;
    EXPECT_NE(text.find("\\fB\\-f\\fR, \\fB\\-\\-fast\\fR\nFast,\\:faster\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\\fBagain\\fR\nOnce more\n.RS\n.TP\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\\fBtool\\fR(1), \\fBother\\fR(8)"), std::string::npos) << text;
}

TEST_F(Pages, CompletionsKnowEveryWord) {
    const std::string bash = bash_completion(app_, program_);
    EXPECT_NE(bash.find("    'work again')\n"), std::string::npos) << bash;
    EXPECT_NE(bash.find("options='-h --help -n --number --loud'"), std::string::npos) << bash;
    EXPECT_NE(bash.find("with_value='-n --number'"), std::string::npos) << bash;
    const std::string zsh = zsh_completion(app_, program_);
    EXPECT_NE(zsh.find("{-n,--number}'[How many; a-b, back\\slash, it'\\''s \\[so\\]\\: yes]:value:_files'"),
              std::string::npos)
        << zsh;
    EXPECT_NE(zsh.find("_tool_work_again() {"), std::string::npos) << zsh;
}

TEST_F(Pages, AreRefusedByNameWithWhatThereIs) {
    try {
        app_.parse(std::vector<std::string>{"nothing", "--page"});  // in reverse order, as CLI11 takes them
        FAIL();
    } catch (const CLI::ValidationError& error) {
        EXPECT_STREQ(error.what(), "--page: there are man, man-work, bash, zsh");
    }
}

}  // namespace
}  // namespace weft::app
