/* What of libdiatom may be called from outside; all else is hidden in it. */
#ifndef DIATOM_EXPORT_H
#define DIATOM_EXPORT_H

#define DIATOM_API __attribute__((visibility("default")))
#define DIATOM_HIDDEN __attribute__((visibility("hidden")))

#endif
