/*
 * The platform's JS SDK as this simulator plays it: the same global, the same methods, the same messages on
 * the wire. Beyond the real one it reads settings from the page's localStorage, standing for the phone and the
 * build of the SDK:
 *
 *   simulator.sim      the number of the SIM (13999994444 if never set; "" = no number is inserted)
 *   simulator.network  cellular (if never set), wifi, unknown, or vpn
 *   simulator.wire     h5 (if never set: getMobile.htm, then getToken.htm), or flat: the newer build's one
 *                      message to getPreMobile, on another host, which is localhost here
 */
(function (window, document) {
  "use strict";

  const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
  const PATIENCE = 8000; // milliseconds for each of the two requests
  const FAILED = "图片请求失败"; // whatever the cause: the code beneath shows in a capture

  // The SDK speaks to the server that it came from.
  const platform = new URL(document.currentScript.src).origin;

  // Where the newer build speaks to: another origin than that, by the same machine's other name.
  const second = platform.replace("127.0.0.1", "localhost");

  // Fixed when the page was loaded, by the phone's own clock and time zone.
  const loaded = timestamp(new Date());
  let last = null; // what the last getSign was made of

  function timestamp(date) {
    const there = new Date(date.getTime() - date.getTimezoneOffset() * 60000);
    return there.toISOString().replace(/[^0-9]/g, "");
  }

  function identifier() {
    return Array.from(window.crypto.getRandomValues(new Uint8Array(32)), (byte) => DIGITS[byte & 31]).join("");
  }

  function setting(name, otherwise) {
    try {
      const value = window.localStorage.getItem("simulator." + name);
      return value === null ? otherwise : value;
    } catch (error) {
      return otherwise; // storage is blocked
    }
  }

  // The browser's fingerprint, URI-encoded Base64. It begins and ends so that the Base64 holds "+", "/" and
  // "=": whoever decodes or encodes it once too often is found out every time.
  function userInformation() {
    const agent = window.navigator.userAgent.replace(/[^ -~]/g, "").slice(0, 100);
    const text = ">>>???" + [agent, window.screen.width, window.screen.height].join("@@");
    return window.encodeURIComponent(window.btoa(text + " ".repeat((4 - (text.length % 3)) % 3)));
  }

  function query(fields) {
    return Object.keys(fields).map((name) => `${name}=${window.encodeURIComponent(fields[name])}`).join("&");
  }

  function getSign(appId, version) {
    last = { msgId: identifier(), uuid: identifier() };
    return appId + last.msgId + loaded + last.uuid + version;
  }

  function getConnection(appId) {
    const network = setting("network", "cellular");
    const known = network === "wifi" || network === "unknown"; // a VPN over mobile data is not seen from here
    return { appid: appId, msgid: identifier(), netType: known ? network : "cellular" };
  }

  function getTokenInfo({ data = {}, success, error }) {
    const parts = last || { msgId: identifier(), uuid: identifier() };
    const information = userInformation();
    let ended = false;

    function end(callback, answer) {
      if (ended) return;
      ended = true;
      callback(answer);
    }

    // Of the codes beneath, 103111 alone reaches pages unwrapped.
    const fail = (code) => end(error, { code: code === "103111" ? code : "500", message: FAILED, msgId: parts.msgId });
    const succeed = (token) =>
      end(success, { code: "000000", message: "获取token成功", token, userInformation: information });

    // The test line takes China Mobile alone.
    if (data.isTest === "0" && data.openType !== "1") {
      window.setTimeout(fail, 0);
    } else if (setting("wire", "h5") === "flat") {
      post(second + "/h5/log", { msgId: parts.msgId }, ignore, ignore);
      getPreMobile(data, parts, information, fail, succeed);
    } else {
      getMobile(data, parts, information, fail, () => ended || getToken(data, parts, fail, succeed));
    }
  }

  function ignore() {}

  // An image, because its request crosses origins without asking and passes the carrier's gateway, which
  // inserts the number.
  function getMobile(data, parts, information, fail, proceed) {
    const image = new window.Image();
    const timer = window.setTimeout(fail, PATIENCE);
    image.onload = () => {
      window.clearTimeout(timer);
      proceed();
    };
    image.onerror = () => {
      window.clearTimeout(timer);
      fail();
    };
    const fields = query({
      version: data.version || "",
      appId: data.appId || "",
      openType: data.openType || "",
      expandParams: data.expandParams || "",
      msgId: parts.msgId,
      timestamp: loaded,
      uuid: parts.uuid,
      // A browser asks for an image it has seen on this page only once.
      "simulator.nonce": identifier(),
    });
    // The information is encoded already.
    image.src = `${platform}/NumberAbility/h5/getMobile.htm?${fields}&${phone()}&userInformation=${information}`;
  }

  function getToken(data, parts, fail, succeed) {
    const header = {
      version: data.version || "",
      msgId: parts.msgId,
      timestamp: loaded,
      appId: data.appId || "",
    };
    const body = {
      expandParams: window.encodeURIComponent(data.expandParams || ""),
      sign: data.sign || "",
      uuid: parts.uuid,
    };
    post(platform + "/NumberAbility/h5/getToken.htm", { header, body }, fail, succeed);
  }

  function getPreMobile(data, parts, information, fail, succeed) {
    const message = {
      version: data.version || "",
      appId: data.appId || "",
      openType: data.openType || "",
      sign: data.sign || "",
      getNetworkType: getConnection(data.appId).netType,
      getMsisdnMask: "0",
      traceId: parts.uuid,
      msgId: parts.msgId,
      timestamp: loaded,
      uuid: parts.uuid,
      businessType: "10",
      userInformations: information,
      expandParams: window.encodeURIComponent(data.expandParams || ""),
    };
    post(`${second}/h5/getPreMobile?${phone()}`, message, fail, succeed);
  }

  // What a carrier's gateway would see by itself.
  function phone() {
    return query({
      "simulator.sim": setting("sim", "13999994444"),
      "simulator.network": setting("network", "cellular"),
    });
  }

  function post(address, message, fail, succeed) {
    window.setTimeout(fail, PATIENCE);
    const headers = { "Content-Type": "application/json;charset=utf-8" };
    window
      .fetch(address, { method: "POST", headers, body: JSON.stringify(message) })
      .then((response) => response.json())
      .then(({ header, body }) => (body.token ? succeed(body.token) : fail(header.resultCode)))
      .catch(() => fail());
  }

  window.YDRZ = { getSign, getConnection, getTokenInfo };
})(window, document);
