// A key under which a request is sent again without being done again.

/** 128 random bits in hexadecimal. `crypto.randomUUID` is not there at plain addresses. */
export const freshKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
