//! libnmt in Rust: a model that is open, and its translations.

use std::ffi::{c_char, c_int, c_void, CStr, CString};

#[repr(C)]
struct RawModel {
    _private: [u8; 0],
}

/// How to translate, as `nmt_translation_options` of nmt.h has it.
#[repr(C)]
struct RawOptions {
    to: *const c_char,
    split: i32,
    guard: i32,
    beam: i32,
    min_length: i32,
    max_length_extra: i32,
    no_repeat_ngram_size: i32,
    max_length_factor: f64,
    length_penalty: f64,
    coverage_penalty: f64,
}

extern "C" {
    fn nmt_message(status: c_int) -> *const c_char;
    fn nmt_set_defaults(options: *mut RawOptions);
    fn nmt_open_model(path: *const c_char, model: *mut *mut RawModel) -> c_int;
    fn nmt_close_model(model: *mut RawModel);
    fn nmt_translate(
        model: *const RawModel,
        text: *const c_char,
        options: *const RawOptions,
        translation: *mut *mut c_char,
    ) -> c_int;
    fn nmt_free(memory: *mut c_void);
}

/// A message of the library.
#[derive(Debug)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn check(status: c_int) -> Result<(), Error> {
    if status == 0 {
        return Ok(());
    }
    let message = unsafe { CStr::from_ptr(nmt_message(status)) };
    Err(Error(message.to_string_lossy().into_owned()))
}

fn terminate(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error("the text contains a character of zero".into()))
}

/// A model. Any number of threads can translate with it at once.
pub struct Model(*mut RawModel);

unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    /// Open a model file.
    pub fn open(path: &str) -> Result<Model, Error> {
        let path = terminate(path)?;
        let mut model = std::ptr::null_mut();
        check(unsafe { nmt_open_model(path.as_ptr(), &mut model) })?;
        Ok(Model(model))
    }

    /// Translate a text, line by line. `to` is the target language; a model with a single one needs none.
    pub fn translate(&self, text: &str, to: Option<&str>) -> Result<String, Error> {
        let (text, to) = (terminate(text)?, to.map(terminate).transpose()?);
        let mut translation = std::ptr::null_mut();
        unsafe {
            let mut options = std::mem::zeroed::<RawOptions>();
            nmt_set_defaults(&mut options);
            options.to = to.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
            check(nmt_translate(self.0, text.as_ptr(), &options, &mut translation))?;
            let result = CStr::from_ptr(translation).to_string_lossy().into_owned();
            nmt_free(translation.cast());
            Ok(result)
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { nmt_close_model(self.0) }
    }
}
