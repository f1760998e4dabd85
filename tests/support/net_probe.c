/* What busybox has no applet for: a server that says when it listens, UDP, and the ways around a network's rules. Sent
   into a guest through stdin (tests/vm/network_test.py). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address_of(const char* text, const char* port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

static int say(const char* what) {
  puts(what);
  fflush(stdout);
  return 0;
}

/* Echoes TCP and UDP on one port, for ever. */
static int echo(const char* port) {
  static char buffer[65536];
  struct sockaddr_in any = address_of("0.0.0.0", port);
  int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
  signal(SIGCHLD, SIG_IGN);
  if (bind(tcp, (void*)&any, sizeof any) || listen(tcp, 64) || bind(udp, (void*)&any, sizeof any)) return say("bind");
  say("ready");
  for (;;) {
    struct pollfd fds[2] = {{tcp, POLLIN, 0}, {udp, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents) {
      struct sockaddr_in from;
      socklen_t size = sizeof from;
      ssize_t got = recvfrom(udp, buffer, sizeof buffer, 0, (void*)&from, &size);
      if (got >= 0) sendto(udp, buffer, got, 0, (void*)&from, size);
    }
    if (!fds[0].revents) continue;
    int connection = accept(tcp, NULL, NULL);
    if (fork() != 0) {
      close(connection);
      continue;
    }
    for (ssize_t got; (got = read(connection, buffer, sizeof buffer)) > 0;)
      for (ssize_t done = 0, put; done < got; done += put)
        if ((put = write(connection, buffer + done, got - done)) <= 0) _exit(1);
    _exit(0);
  }
}

static int try_tcp(const char* to, const char* port, const char* device) {
  struct sockaddr_in address = address_of(to, port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
  socklen_t size = sizeof error;
  if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device))) return say("no such device");
  if (connect(fd, (void*)&address, sizeof address) && errno != EINPROGRESS) return say(strerror(errno));
  struct pollfd event = {fd, POLLOUT, 0};
  if (poll(&event, 1, 3000) == 0) return say("no answer");
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return say(error ? strerror(error) : "connected");
}

static int try_udp(const char* to, const char* port, const char* from_port) {
  char buffer[2048] = "hello";
  struct sockaddr_in address = address_of(to, port), own = address_of("0.0.0.0", from_port ? from_port : "0");
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  bind(fd, (void*)&own, sizeof own);
  if (sendto(fd, buffer, 5, 0, (void*)&address, sizeof address) < 0) return say(strerror(errno));
  struct pollfd event = {fd, POLLIN, 0};
  if (poll(&event, 1, 3000) == 0) return say("no answer");
  ssize_t got = recv(fd, buffer, sizeof buffer - 1, 0);
  if (got < 0) return say(strerror(errno));
  buffer[got] = 0;
  return say(buffer);
}

static int try_socket(int family, int type, int protocol) {
  return say(socket(family, type, protocol) >= 0 ? "made" : strerror(errno));
}

/* A datagram's last piece, of a whole that nobody has: by a raw socket, which lets its owner write the IP header. */
static int send_fragment(const char* to) {
  unsigned char packet[28] = {0x45, 0, 0, sizeof packet, 0, 1, 0, 1, 64, IPPROTO_UDP};
  struct sockaddr_in address = address_of(to, "0");
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) return say("no raw socket");
  memcpy(packet + 16, &address.sin_addr, 4);
  return say(sendto(fd, packet, sizeof packet, 0, (void*)&address, sizeof address) < 0 ? strerror(errno) : "sent");
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const char* what = argc > 2 ? argv[1] : "";
  if (!strcmp(what, "echo")) return echo(argv[2]);
  if (!strcmp(what, "tcp") && argc > 3) return try_tcp(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
  if (!strcmp(what, "udp") && argc > 3) return try_udp(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
  if (!strcmp(what, "fragment")) return send_fragment(argv[2]);
  if (!strcmp(what, "socket") && argc > 3) return try_socket(atoi(argv[2]), atoi(argv[3]), 0);
  return 1;
}
