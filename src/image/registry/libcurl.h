// The functions of libcurl that we use. Loaded when a registry is asked for something, not when the program starts.
#pragma once

#include <curl/curl.h>

#include "base/platform/platform.h"
#include "base/shared_library.h"

namespace diatom::image {

struct Libcurl {
  SharedLibrary library{platform::library_file("curl", 4)};

  decltype(&::curl_global_init) global_init = library.find("curl_global_init");
  decltype(&::curl_free) free = library.find("curl_free");
  decltype(&::curl_getdate) getdate = library.find("curl_getdate");
  decltype(&::curl_slist_append) slist_append = library.find("curl_slist_append");
  decltype(&::curl_slist_free_all) slist_free_all = library.find("curl_slist_free_all");

  decltype(&::curl_easy_init) easy_init = library.find("curl_easy_init");
  decltype(&::curl_easy_cleanup) easy_cleanup = library.find("curl_easy_cleanup");
  decltype(&::curl_easy_reset) easy_reset = library.find("curl_easy_reset");
  CURLcode (*easy_setopt)(CURL*, CURLoption, ...) = library.find("curl_easy_setopt");
  CURLcode (*easy_getinfo)(CURL*, CURLINFO, ...) = library.find("curl_easy_getinfo");
  decltype(&::curl_easy_pause) easy_pause = library.find("curl_easy_pause");
  decltype(&::curl_easy_strerror) easy_strerror = library.find("curl_easy_strerror");

  decltype(&::curl_multi_init) multi_init = library.find("curl_multi_init");
  decltype(&::curl_multi_cleanup) multi_cleanup = library.find("curl_multi_cleanup");
  decltype(&::curl_multi_add_handle) multi_add_handle = library.find("curl_multi_add_handle");
  decltype(&::curl_multi_remove_handle) multi_remove_handle = library.find("curl_multi_remove_handle");
  decltype(&::curl_multi_perform) multi_perform = library.find("curl_multi_perform");
  decltype(&::curl_multi_poll) multi_poll = library.find("curl_multi_poll");
  decltype(&::curl_multi_info_read) multi_info_read = library.find("curl_multi_info_read");
  decltype(&::curl_multi_strerror) multi_strerror = library.find("curl_multi_strerror");

  decltype(&::curl_url) url = library.find("curl_url");
  decltype(&::curl_url_cleanup) url_cleanup = library.find("curl_url_cleanup");
  decltype(&::curl_url_get) url_get = library.find("curl_url_get");
  decltype(&::curl_url_set) url_set = library.find("curl_url_set");
};

// Initialised, once. Of use only where load_libcurl() has succeeded. Any thread.
const Libcurl& libcurl();
// not_found where there is none.
Result<> load_libcurl();

}  // namespace diatom::image
