// Stands in for the bridge: says how often it was started, and ends when it is asked to.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }

int main(void) {
    signal(SIGTERM, end);
    int boots = open("/data/boots", O_WRONLY | O_CREAT | O_APPEND, 0644);
    write(boots, "boot\n", 5);
    close(boots);
    // What of its surroundings is as it should be.
    int spec = open("/run/creel/etc/spec.json", O_RDONLY);
    char text[4096] = {0};
    if (spec < 0 || read(spec, text, sizeof text - 1) <= 0 || !strstr(text, "\"scout\"")) return 3;
    close(spec);
    if (open("/run/creel/out/x", O_WRONLY | O_CREAT, 0600) >= 0) return 4;
    int words = open("/run/creel/in/last-words", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (words < 0) return 5;
    // A file that asks for failure, put into the volume by the test.
    if (access("/data/fail", F_OK) == 0) {
        write(words, "there is a file called fail\n", 28);
        return 9;
    }
    close(words);
    for (;;) pause();
}
