/* curl.h - the transport of the product: libcurl easy handles in a pool (connections and TLS sessions are kept), one handle per attempt,
 * again the one that spoke to the same host before.
 * curl_start before the first thread; curl_stop after the last. https only, http also for loopback addresses. No proxy, no redirects. */
#ifndef HTTP_CURL_H
#define HTTP_CURL_H
#include "http/http.h"

struct curl_pool;
enum err_code curl_start(struct curl_pool **ret, struct err *err) MUST_CHECK;
void curl_stop(struct curl_pool *pool);
struct http_transport curl_transport(struct curl_pool *pool);
#endif
