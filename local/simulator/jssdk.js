/*
 * The platform's JS SDK as this simulator plays it: the same global, the same methods, the same messages on
 * the wire. Beyond the real one it reads two settings from the page's localStorage, standing for the phone:
 *
 *   simulator.sim      the number of the SIM (13999994444 if never set; "" = no number is inserted)
 *   simulator.network  cellular (if never set), wifi, or unknown
 */
(function (window, document) {
  "use strict";

  var DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
  var PATIENCE = 8000; // milliseconds for each of the two requests
  var FAILED = "图片请求失败"; // whatever the cause: the code beneath shows in a capture

  // The SDK speaks to the server that it came from.
  var platform = document.currentScript.src.split("/").slice(0, 3).join("/");

  // Fixed when the page was loaded, by the phone's own clock and time zone.
  var loaded = timestamp(new Date());
  var last = null; // what the last getSign was made of

  function digits(number, width) {
    return ("000" + number).slice(-width);
  }

  function timestamp(date) {
    return (
      date.getFullYear() +
      digits(date.getMonth() + 1, 2) +
      digits(date.getDate(), 2) +
      digits(date.getHours(), 2) +
      digits(date.getMinutes(), 2) +
      digits(date.getSeconds(), 2) +
      digits(date.getMilliseconds(), 3)
    );
  }

  function identifier() {
    return Array.prototype.map
      .call(window.crypto.getRandomValues(new Uint8Array(32)), function (byte) {
        return DIGITS.charAt(byte & 31);
      })
      .join("");
  }

  function setting(name, otherwise) {
    try {
      var value = window.localStorage.getItem("simulator." + name);
      return value === null ? otherwise : value;
    } catch (error) {
      return otherwise; // storage is blocked
    }
  }

  // The browser's fingerprint, URI-encoded Base64. It begins and ends so that the Base64 holds "+", "/" and
  // "=": whoever decodes or encodes it once too often is found out every time.
  function userInformation() {
    var agent = window.navigator.userAgent.replace(/[^ -~]/g, "").slice(0, 100);
    var text = ">>>???" + [agent, window.screen.width, window.screen.height].join("@@");
    while (text.length % 3 !== 1) {
      text += " ";
    }
    return window.encodeURIComponent(window.btoa(text));
  }

  function query(fields) {
    return Object.keys(fields)
      .map(function (name) {
        return name + "=" + window.encodeURIComponent(fields[name]);
      })
      .join("&");
  }

  function getSign(appId, version) {
    last = { msgId: identifier(), uuid: identifier() };
    return appId + last.msgId + loaded + last.uuid + version;
  }

  function getConnection(appId) {
    var network = setting("network", "cellular");
    return {
      appid: appId,
      msgid: identifier(),
      netType: network === "wifi" || network === "unknown" ? network : "cellular",
    };
  }

  function getTokenInfo(options) {
    var data = options.data || {};
    var parts = last || { msgId: identifier(), uuid: identifier() };
    var information = userInformation();
    var ended = false;

    function fail() {
      if (!ended) {
        ended = true;
        options.error({ code: "500", message: FAILED, msgId: parts.msgId });
      }
    }

    function succeed(token) {
      if (!ended) {
        ended = true;
        options.success({
          code: "000000",
          message: "获取token成功",
          token: token,
          userInformation: information,
        });
      }
    }

    // The test line takes China Mobile alone.
    if (data.isTest === "0" && data.openType !== "1") {
      window.setTimeout(fail, 0);
      return;
    }
    getMobile(data, parts, information, fail, function () {
      if (!ended) {
        getToken(data, parts, fail, succeed);
      }
    });
  }

  // An image, because its request crosses origins without asking and passes the carrier's gateway, which
  // inserts the number.
  function getMobile(data, parts, information, fail, proceed) {
    var image = new window.Image();
    var timer = window.setTimeout(fail, PATIENCE);
    image.onload = function () {
      window.clearTimeout(timer);
      proceed();
    };
    image.onerror = function () {
      window.clearTimeout(timer);
      fail();
    };
    image.src =
      platform +
      "/NumberAbility/h5/getMobile.htm?" +
      query({
        version: data.version || "",
        appId: data.appId || "",
        openType: data.openType || "",
        expandParams: data.expandParams || "",
        msgId: parts.msgId,
        timestamp: loaded,
        uuid: parts.uuid,
        "simulator.sim": setting("sim", "13999994444"),
        "simulator.network": setting("network", "cellular"),
        // A browser asks for an image it has seen on this page only once.
        "simulator.nonce": identifier(),
      }) +
      "&userInformation=" +
      information; // encoded already
  }

  function getToken(data, parts, fail, succeed) {
    var request = new window.XMLHttpRequest();
    request.open("POST", platform + "/NumberAbility/h5/getToken.htm");
    request.setRequestHeader("Content-Type", "application/json;charset=utf-8");
    request.timeout = PATIENCE;
    request.onerror = request.ontimeout = fail;
    request.onload = function () {
      var token = tokenIn(request);
      if (token) {
        succeed(token);
      } else {
        fail();
      }
    };
    request.send(
      JSON.stringify({
        header: {
          version: data.version || "",
          msgId: parts.msgId,
          timestamp: loaded,
          appId: data.appId || "",
        },
        body: {
          expandParams: window.encodeURIComponent(data.expandParams || ""),
          sign: data.sign || "",
          uuid: parts.uuid,
        },
      })
    );
  }

  function tokenIn(request) {
    try {
      return request.status === 200 && JSON.parse(request.responseText).body.token;
    } catch (error) {
      return "";
    }
  }

  window.YDRZ = { getSign: getSign, getConnection: getConnection, getTokenInfo: getTokenInfo };
})(window, document);
